const heads = ['', '"', "'", '`', '">', "'>", '</td>', '</script>', '{{', '${', '--><', '\u0000']
const bodies = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg onload=alert(1)>',
  '<iframe srcdoc="<script>parent.alert(1)</script>">',
  'javascript:alert(1)',
  '<a href="javascript:alert(1)">click</a>',
  '<details open ontoggle=alert(1)>',
  '<base href="https://evil.example/">',
  '<meta http-equiv=refresh content="0;url=https://evil.example/">',
  '{{ constructor.constructor("alert(1)")() }}',
  '<style>@import "https://evil.example/x.css";</style>',
  '<math><mtext><img src=x onerror=alert(1)></mtext></math>',
]
const others = [
  '\u001b]0;title from the output\u0007',
  '\u001b]8;;javascript:alert(1)\u001b\\link\u001b]8;;\u001b\\',
  '\u001b]52;c;ZXZpbA==\u0007',
  '\u001b[2J\u001b[H\u001b[?1049h',
  '\u001bP$q"p\u001b\\',
  '\u202etxt.exe',
  '\u2066\u2067\u2068\u2069',
  '../../../../etc/passwd',
  '%00%0d%0aSet-Cookie: a=b',
  '$(touch /tmp/hostile)',
  '; rm -rf /',
  '__proto__',
  'constructor',
  'a'.repeat(4000),
  '𝕳𝖔𝖘𝖙'.repeat(100),
  'Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘',
  '@:common.secret',
  'a | b | c',
  '{count}',
  'null',
  'NaN',
  '\ud800',
]

/** At least 200 strings that a page must never take for anything but text. */
export const hostileStrings: readonly string[] = [
  ...bodies.flatMap((body) => heads.map((head) => head + body)),
  ...bodies.map((body) => encodeURIComponent(body)),
  ...bodies.map((body) => body.replaceAll('<', '&lt;')),
  ...bodies.map((body) => body.toUpperCase()),
  ...others,
]
