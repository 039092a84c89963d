# As writers.py, in the ways that Perl has.
use strict;
use warnings;
use JSON::PP;
use MIME::Base64;

open my $file, '<:raw', $ARGV[0] or die;
my $texts = decode_json(do { local $/; <$file> });
my $index = 0;
for my $text (@$texts) {
  my $say = sub {
    my ($way, $before, $middle, $after) = @_;
    print JSON::PP->new->ascii->encode(
        [$index, $way, $before, $middle, $after, 0]), "\n";
  };
  my $inner = sub { my ($json) = @_; substr($json, 1, -1) };
  my $json = JSON::PP->new->allow_nonref;
  $say->('JSON::PP', '"', $inner->($json->ascii->encode($text)), '"');
  $say->('JSON::PP, slash', '"',
         $inner->($json->ascii->escape_slash->encode($text)), '"');
  $say->('JSON::PP, latin1', '"', $inner->($json->latin1->encode($text)), '"')
      if $text !~ /[\x80-\xff]/;
  my $bytes = $text;
  utf8::encode($bytes);
  my $lines = encode_base64("$bytes", "\r\n");
  $lines =~ s/[=\r\n]+$//;
  $say->('MIME::Base64', ':', $lines, '=');
  $say->('unpack', ':', unpack('H*', $bytes), ':');
  (my $percent = $bytes) =~ s/([^A-Za-z0-9])/sprintf('%%%02x', ord $1)/ge;
  $say->('percent', '/', $percent, '/');
  (my $entities = $text) =~ s/([^A-Za-z0-9])/sprintf('&#%d;', ord $1)/ge;
  $say->('entities', '<b>', $entities, '</b>');
  ++$index;
}
