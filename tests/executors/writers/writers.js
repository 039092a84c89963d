// As writers.py, in the ways that JavaScript has.
'use strict';

const texts = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
const inner = (text) => [text[0], text.slice(1, -1), text.slice(-1)];

texts.forEach((text, index) => {
  const say = (way, before, middle, after = '') =>
      console.log(JSON.stringify([index, way, before, middle, after, 0]));
  say('stringify', ...inner(JSON.stringify(text)));
  const twice = JSON.stringify(JSON.stringify(text));
  say('stringify twice', twice.slice(0, 3), twice.slice(3, -3), twice.slice(-3));
  say('encodeURIComponent', '/', encodeURIComponent(text), '/');
  say('encodeURI', '/', encodeURI(text), '/');
  const form = new URLSearchParams({a: text, b: '1'}).toString();
  say('URLSearchParams', 'a=', form.slice(2, -4), '&b=1');
  say('template of \\u{}', '',
      [...text].map((c) => '\\u{' + c.codePointAt(0).toString(16) + '}').join(''));
  const bytes = Buffer.from(text);
  for (const encoding of ['base64', 'base64url', 'hex']) {
    say(encoding, ':', bytes.toString(encoding).replace(/=+$/, ''), '=');
  }
});
