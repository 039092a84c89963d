# As writers.py, in the ways that jq has.
to_entries[] | .key as $i | .value as $text
| [$i, "tojson", "\"", ($text | tojson | .[1:-1]), "\"", 0],
  [$i, "tojson twice", "\"\\\"", ($text | tojson | tojson | .[3:-3]), "\\\"\"", 0],
  [$i, "@uri", "/", ($text | @uri), "/", 0],
  [$i, "@html", "<b>", ($text | @html), "</b>", 0],
  [$i, "@base64", ":", ($text | @base64 | rtrimstr("=") | rtrimstr("=")), "=", 0]
