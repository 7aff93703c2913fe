r"""What must survive translation, such as URLs and tags: a table with one row per kind of span.

A row defines what such spans look like and how they are treated. `seq2seq.text.masking` takes them
out of the text before the model reads it, and puts them back. Text that no row matches is
translated.

If several kinds match at one place, the first in the table wins. Every pattern takes linear time:
it is anchored where a run of its characters begins, or gives up after some hundred characters.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from seq2seq.errors import UsageError
from seq2seq.files import read_bounded

_MOST_BYTES = 1 << 20  # of a file of patterns
_AFTER_LINK = ".,;:!?…'’*_"
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class Kind(NamedTuple):
    """A kind of span: its pattern, with examples that match and `others` that must not match.

    The model reads such a span as a placeholder, a word of the sentence, unless a flag differs.
    """

    name: str
    pattern: str  # verbose; `.` matches any character
    examples: tuple[str, ...]
    others: tuple[str, ...] = ()
    is_inline: bool = False  # goes with a word instead of being one
    divides: bool = False  # separates the text before and after it, as a line end does
    is_trimmed: bool = False  # final punctuation is left to the sentence


_BALANCED = r"(?: [^{}]++ | \{ (?: [^{}]++ | \{ (?: [^{}]++ | \{ [^{}]*+ \} )*+ \} )*+ \} )*+"
_LINK_END = r"(?<! [.,;:!?…'’*_~] )"
PICTURES = "\U0001f1e6-\U0001faff\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2900-\u297f\u2b00-\u2bff"
_EXTENSIONS = (
    "bat|bmp|cfg|conf|cpp|css|csv|db|doc|docx|exe|gif|gz|html?|ini|ipynb|java|jpe?g|js|json|log|md"
    "|mp3|mp4|odt|pdf|php|png|po|ppt|pptx|py|rar|rb|rs|rst|sh|sql|srt|svg|tar|tex|toml|ts|tsv|ttf"
    "|txt|vtt|wav|xls|xlsx|xml|ya?ml|zip"
)

_AMOUNT = (
    r"(?: \d{1,3} (?: [.,'’\ \u00a0\u202f] \d{3} ){1,7} (?! \d ) (?: [.,] \d{1,9} )?"
    r" | \d{1,20} (?: [.,] \d{1,20} )? )"
)
_MONEY = "(?: (?: US | C | A | NZ | HK | R )? [$€£¥₩₹₽₺฿₫₴₪¢] )"
_CODES = (
    "(?: USD|EUR|GBP|CHF|JPY|CNY|INR|RUB|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|TRY|BRL|MXN|ZAR|KRW )"
)
_MAGNITUDES = "(?: k | m | M | bn | Mio\\. | Mrd\\. )"  # of sums of money
_UNITS = (
    "(?: [%‰] | ° [ ]? [CFK]? | [kMGT]i?B | [kMGT]?bits?/s | [kMGT]?B/s | [kMGT]?Hz | k?W h?"
    "| MW h? | [nµmck]?m [²³23]? | [µmk]?g | [mcdh]?l | m?V | mA | kJ | kcal | h?Pa"
    "| bar | dB | px | dpi | km/h | m/s | mph | K )"
)
KINDS = (
    Kind(  # the front matter of a file, in YAML
        "front",
        r"""\A \ufeff? --- [ \t]*\r?\n (?: \w[\w-]*: [^\n]*\n | [\ \t#-] [^\n]*\n | \r?\n )+?
        --- [ \t]* (?= \r?\n | \Z )""",
        ("---\ntitle: Kalo\n---",),
    ),
    Kind(
        "code",
        r"""(?<! ` ) (?P<fence> `{3,}+ ) .*? (?P=fence)
        | (?<! ~ ) (?P<tildes> ~{3,}+ ) .*? (?P=tildes)
        | ``[^\n]+?`` | `[^`\n]+ (?: \n [^\S\n]* [^\s`] [^`\n]* )? `""",
        ("`x = 1`", "``a`b``", "```ls -l```"),
    ),
    Kind(  # a handle or hashtag in HTML whose name is in a tag
        "marked_handle",
        r"(?<! [\w@\#] ) [@\#] <[A-Za-z][^<>\n]*+> [\w.-]++ </[A-Za-z][^<>\s]*+>",
        ("@<b>kalo</b>",),
    ),
    Kind(  # a footnote mark of one word and an icon include their content
        "tag",
        r"""<su[bp] (?: \s [^<>\n]*+ )? > [^\s<>]*+ </su[bp]>
        | <[A-Za-z][^<>\n]*+ (?<! / ) > [^\w\s<>{]++ </[A-Za-z][^<>\s]*+>
        | <!-- (?: (?! <!-- | --> ) . ){0,1000}+ -->
        | </?[A-Za-z][\w:.-]*
          (?: (?: [^\S\n]+ (?: \n [^\S\n]* )? | \n [^\S\n]* ) [\w:@.-]+
            (?: \s*=\s* (?: "[^"<]{0,1000}" | '[^'<]{0,1000}' | [^\s"'<>=`]+ ) )?
          )*+
          \s* /? >
        | </?[A-Za-z] [^<>\n]* (?: \n [^\S\n]* [^\s<>] [^<>\n]* )? >""",
        ("<b>", "</b>", '<a href="x y">', "<br/>", "<v Tom>", "<sup>[2]</sup>", "<i>▾</i>"),
        ("3<4", "a < b > c"),
        is_inline=True,
    ),
    Kind(
        "disguised_tag",
        r"&lt; /? [A-Za-z] [^&<>\n]{0,200}+ &gt;",
        ("&lt;b&gt;", "&lt;/b&gt;"),
        is_inline=True,
    ),
    Kind(
        "declaration",
        r"""<! (?: [A-Za-z] [^<>]{0,1000} | \[CDATA\[ .{0,1000}? \]\] ) > | <\? .{0,1000}? \?>
        | <% .{0,1000}? %> | \{% .{0,1000}? %\}""",
        ("<!DOCTYPE html>", "<?php x > y ?>", "<%= x %>", "{% if x %}"),
    ),
    Kind(  # plurals and other choices of ICU and Fluent, with all their branches
        "choice",
        rf"""\{{ \s{{0,9}} [\w.]{{1,64}} \s{{0,9}} , \s{{0,9}}
          (?: plural | select (?: ordinal )? | number | date | time | spellout | ordinal )
          \b {_BALANCED} \}}
        | \{{ \s{{0,9}} \$ [\w-]{{1,64}} \s{{0,9}} -> {_BALANCED} \}}""",
        (
            "{count, plural, one {# message} other {# messages}}",
            "{day, date, short}",
            "{ $n -> [one] a dog *[other] { $n } dogs }",
        ),
        ("{red, green}",),
    ),
    Kind(
        "placeholder",
        r"""\{\{ [^{}\n]* \}\} | [$\#%] \{ [^{}\n]* \} | \{ [\w.,:!\[\]\#+<>=^%"'-]* \}
        | \{ \s [$-]? \w [\w.-]{0,64} \s \} | \{ [$-] \w [\w.-]{0,64} \} | \[X\d{1,9}X\]
        | (?<! [\w%] ) % [A-Z] [A-Z\d_]{2,64} (?! [\w%] )""",
        (
            "{{ name }}",
            "${home}",
            "%{name}",
            "#{x}",
            "{0}",
            "{name:>10}",
            "{ $name }",
            "[X6X]",
            "%EXTENSION_NAME",
        ),
        ("{ }", "40%OFF"),
    ),
    Kind(
        "printf",
        r"""% \( \w+ \) [-+\#0']*+ \d*+ (?: \.\d+ )? [a-zA-Z]
        | (?: (?<! [^\W_] ) 0[xX] )? % \d+\$ [-+\#0']*+ \d*+ (?: \.\d+ )? [diouxXeEfFgGcspaA@]
        | (?<! \d ) (?<! [^%]% ) (?: (?<! \d[ \u00a0\u202f] ) | (?= %[a-zA-Z@] (?! [^\W\d_] ) ) )
          (?: (?<! [^\W_] ) 0[xX] )? % [-+\#0']*+ (?: \d++ | \* )? (?: \. (?: \d+ | \* ) )?
          (?: hh? | ll? | [LqjztI] )? [diouxXeEfFgGcspaA@]
          (?! (?: (?<= %[a-rt-zA-Z@] ) | (?<= %[hlLqjztI][a-zA-Z@] ) )
              (?! [A-Z][a-z] ) [^\W\d_]{4} )
        | (?<! [\w%] ) (?<! \d[ \u00a0\u202f] ) % L? \d{1,2} (?! [\w%$] | [.,]\d )  # of Qt
        | (?<! [\d%] ) (?<! \d[ \u00a0\u202f] )
          (?: % [-0^_]? [A-Za-z] (?! [^\W\d_] | % (?! [-0^_A-Za-z] ) ) )++  # of a date, %d%b
        | %% | (?<! [\d%] ) % \w+ % (?! [A-Za-z] (?! [^\W_] ) )""",
        (
            *("%s", "%1$s", "%-5.2lf", "%'d", "%(total)d", "%%", "%PATH%", "0x%lx", "0x%2$s"),
            *("%b", "%Y%m%d", "%1", "%L2"),
        ),
        ("100 % sure", "5% of 10%", "20%discount", "5%10", "100 %5"),
    ),
    Kind(
        "entity",
        r"& (?: [A-Za-z][A-Za-z\d]* | \#\d+ | \#x[\dA-Fa-f]+ ) ;",
        ("&amp;", "&#39;", "&#x2014;"),
        ("Q & A",),
    ),
    Kind(
        "link",
        rf"""(?<! [^\W_] ) (?: [A-Za-z][A-Za-z\d+.-]{{0,15}} :// | www\. | mailto: )
        [^\s<>"“”„«»`\U000f0000-\U000f0002]+ {_LINK_END}""",
        ("https://example.org/a_(b)?q=1&r=%20#x", "www.example.org", "mailto:a@b.org"),
        is_trimmed=True,
    ),
    Kind(
        "address",
        r"""(?<! [\w.+-] ) \w [\w.!\#$%&'*+/=?^{|}~-]{0,63} @ [^\W_][\w-]{0,63}
        (?: \. [\w-]{1,63} )+ (?: : \w [\w.~-]* / [\w./~-]* \w )?""",
        ("joe.bloggs+x@mail.example.org", "git@example.org:a/b.git"),
        ("a@ b",),
    ),
    Kind(  # of subtitles
        "timecode",
        r"""(?<! [\w:.] ) \[? (?: \d\d: )? \d\d:\d\d [.,] \d{3} \s --> \s
          (?: \d\d: )? \d\d:\d\d [.,] \d{3} \]?
          (?: [ \t] [A-Za-z] [\w-]{0,20} : [\w%.,:-]{1,40} ){0,9}
        | (?: \{ \\ [^{}\n]{1,100} \} )+""",
        (
            "00:00:06,174 --> 00:00:12,305",
            "[00:14.167 --> 00:16.083]",
            "00:17.000 --> 00:18.000 align:start position:0%",
            r"{\an8}",
        ),
        ("12:30",),
        divides=True,
    ),
    Kind(  # the head of a WebVTT file; a comment or style in it, with the blank line before
        "webvtt",
        r"""\A (?: \ufeff? WEBVTT | (?: \r?\n )++ (?: NOTE | STYLE | REGION ) ) (?= \s | \Z )
        [^\n]* (?: \n (?! \r?\n ) [^\n]+ )*""",
        ("WEBVTT - Kalo\nLanguage: en", "\nNOTE kalo\nmiren"),
        ("NOTE kalo", "WEBVTTkalo"),
        divides=True,
    ),
    Kind(
        "path",
        rf"""(?<! [\w/\\] ) [A-Za-z] : \\ [^\s<>"|?*\U000f0000-\U000f0002]* {_LINK_END} (?<! [)\]] )
        | (?<! [\\\w] ) \\\\ [\w.$-]++ (?: \\ [\w.$-]++ )+ {_LINK_END}
        | (?<! [\w.~/<:] ) (?: ~ | \.{{1,2}} )? / [\w.+@-]++ (?: / [\w.+@-]* )+ {_LINK_END}
        | (?<! [\w.~/<:] ) (?: ~ | \.{{1,2}} ) / [\w+@-] [\w.+@-]* {_LINK_END}
        | (?<! [\w./\\@:~-] ) [\w-]++ (?: [./] [\w-]++ ){{0,30}}? \. (?: {_EXTENSIONS} ) \b
          (?! [.-]? \w )""",
        (
            r"C:\Users\Tom\report_final.docx",
            r"\\server\share",
            "/usr/local/bin/backup.sh",
            "~/notes",
            "../a",
            "src/main.py",
            "config.yaml",
        ),
        ("and/or", "1/2", "24/7", "Hello.He"),
    ),
    Kind(
        "function",  # of i18next and Vue
        r"""\$t \( [^()\n]{0,200} \)
        | (?<! [\w@] ) @ (?: \. \w{1,20} )? : \(? [\w.]{1,64} (?<! \. ) \)?""",
        ("$t(common.key)", "@:message.hello"),
    ),
    Kind(
        "formula",
        r"(?<! [\w$\\] ) \$ [^\s$] (?: [^$\n]{0,200}? [^\s$\\] )? \$ (?! [\w$] )",
        ("$x^2$", "$x$", r"$\alpha + \beta = 1$"),
        ("$5 and $6", "$5-$6"),
    ),
    Kind("variable", r"(?<! [\w$] ) \$ [A-Za-z_]\w*+", ("$HOME",), ("$5", "US$5")),
    Kind(
        "escape",
        r"""\\ (?: [A-Za-z]{2,20} \{ [^{}\n]{0,200} \}
        | u [\dA-Fa-f]{4} | x [\dA-Fa-f]{2} | [ab0"'] )""",
        (r"\"", r"\u00e9", r"\textbf{kalo}"),
    ),
    Kind("escaped_space", r"(?: \\ [nrtfv] )+", (r"\n", r"\r\n", r"\t"), divides=True),
    Kind("handle", r"(?<! [\w@.] ) @ \w (?: [\w.-]{0,63} \w )?", ("@name", "@joe.b"), ("a@ b",)),
    Kind("hashtag", r"(?<! [\w\#&] ) \# \w++", ("#1", "#kalo"), ("C#",)),
    Kind(
        "uuid",
        r"(?<! [\w-] ) [\dA-Fa-f]{8} (?: - [\dA-Fa-f]{4} ){3} - [\dA-Fa-f]{12} (?! [\w-] )",
        ("550e8400-e29b-41d4-a716-446655440000",),
    ),
    Kind(
        "iban",
        r"(?<! \w ) [A-Z]{2}\d\d (?: [ ]? [A-Z\d]{4} ){2,7} (?: [ ]? [A-Z\d]{1,3} )? (?! \w )",
        ("DE89 3704 0044 0532 0130 00", "GB29 NWBK 6016 1331 9268 19"),
    ),
    Kind(
        "isbn",
        r"(?<! [\w-] ) (?: 97[89] [ -] )? \d{1,5} - \d{1,7} - \d{1,7} - [\dX] (?! [\w-] )",
        ("978-3-16-148410-0", "3-16-148410-X"),
        ("2024-03-04",),
    ),
    Kind(
        "phone",
        r"""(?<! [\w+] ) \+ \d{1,3} (?: [ ]? \( \d{1,5} \) )? (?: [ /-]? \d ){5,14} (?! [\w] )
        | (?<! [\w-] ) \d{3} - \d{3} - \d{4} (?! [\w-] )""",
        ("+1 (555) 010-9987", "+49 30 1234567", "555-010-9987"),
        ("+5",),
    ),
    Kind(  # with its currency or unit; converted to the notation of the target language
        "amount",
        rf"""(?<! [\w.,:/+−-] ) [+−-]? (?:
          (?: {_MONEY} [ \u00a0\u202f]? | {_CODES} [ \u00a0\u202f] ) [−-]? {_AMOUNT}
            (?: [–-] {_MONEY}? {_AMOUNT} )?
            (?: [ ]? {_MAGNITUDES} (?! \w ) )?
            (?: [ \u00a0\u202f]? (?: {_CODES} | {_MONEY} ) (?! \w ) )?
        | (?: {_AMOUNT} [–-] )? {_AMOUNT} [ \u00a0\u202f]?
            (?: (?: {_MONEY} | {_CODES} | {_UNITS} ) (?! \w ) )
        ) (?! [.,:]? \d )""",
        (
            "$204.72 USD",
            "€204.72",
            "283,82 €",
            "-5 °C",
            "1,234.50 kg",
            "10 Mbit/s",
            "50 %",
            "5GB",
            "US$ 5",
            "12 km²",
            "5-10 km",
            "$5-$6",
            "€1.5m",
            "$3 bn",
        ),
        ("5 dogs", "12 pounds", "204.72", "3 x 4"),
    ),
    Kind(  # dates, fractions, products, powers of ten: their notation is not converted
        "figures",
        r"""(?<! [\w.,:/-] ) (?: \d{4} - \d\d - \d\d
        | \d{1,2} (?P<parting> [./] ) \d{1,2} (?P=parting) (?: \d\d ){1,2}
        | \d{1,4} / \d{1,4} | \d{1,9} (?: [.,] \d{1,9} )? (?: [eE] [+-]? \d{1,3}
          | [ ]? [×·] [ ]? 10 (?: \^ [+−-]? \d{1,3} | [⁺⁻]? [⁰¹²³⁴-⁹]{1,3} ) )
        | \d{1,6} (?: [ ]? [x×] [ ]? \d{1,6} ){1,3} (?: [ ]? (?: [cmk]?m | px ) )? )
        (?! [.,:/-]? \w )""",
        ("2024-03-04", "31.12.2018", "03/04/2024", "1/2", "6.02e23", "3 × 10^8", "3 x 4 cm"),
        ("3-4", "2.10"),
    ),
    Kind(
        "version",
        r"""(?<! [\w.,-] ) (?:
          \d{1,3} (?: \. \d{1,3} ){3}
        | v \d{1,9} (?: \. \d{1,9} )*+
        | (?! \d{1,2}\.\d{1,2}\.(?:\d\d){1,2} (?! [\d.] ) )
          (?! \d{1,3} (?: \.\d{3} )++ (?! [\d.] ) )
          \d{1,9} (?: \. \d{1,9} ){2,} (?: [-+] [A-Za-z] [\w.]{0,40} (?<! \. ) )?
        | \d{1,9} (?: \. \d{1,9} )* \. [xX*]
        | (?<= ersi[oó]n[ ] ) \d{1,9} (?: \. \d{1,9} )+
        ) (?! \.? \w )""",
        ("192.168.0.1", "v2", "v2.10", "1.2.3", "1.2.3-rc.1", "0.85.x"),
        ("31.12.2018", "1.000.000", "2.10"),
    ),
    Kind(
        "identifier",
        r"""(?<! [\w.-] ) (?: [A-Z]++ (?: - \d++ )+ | [^\W_]++ (?: _++ [^\W_]++ )++ (?: \(\) )?
          | %? [^\W\d]\w*+ \(\) | [^\W\d_]++ & [^\W\d_]++ ) (?! [\w;&-] )
        | (?<! [\w-] ) -- [a-z] [\w-]{0,40} (?<! - ) (?: = [\w./:-]{0,80} \w )?
        | (?<! [\w.] ) (?! \d{1,2} h \d\d (?! \w ) )
          (?: [^\W\d_]++ \d | \d++ [^\W\d_]++ \d ) [^\W_]*+ [+-]? (?! \w )
        | (?<! \w ) [A-Z]? [a-zß-öø-ÿ]++ (?: [A-Z] [a-zß-öø-ÿ]*+ )++ \d*+ (?! \w )""",
        (
            "UTF-8",
            "ISO-8859-1",
            "snake_case",
            "get_user_name()",
            "main()",
            "%main()",
            "R&D",
            "3f2a9c1d0b7e",
            "MP3",
            "Ca2+",
            "FooBar",
            "iPhone",
            "--help",
            "--dry-run=client",
        ),
        ("1st", "5km", "1970s", "18h30", "Kalo", "NATO"),
    ),
    Kind(
        "mark",  # of Markdown, and footnote marks
        r"""\\ [][\\`*_{}()\#+.!|~-] | \[\^ [\w-]+ \] | \[ \d{1,3} \] | [¹²³⁰⁴-⁹]+
        | !?\[ (?= [^\[\]\n]* (?: \n [^\[\]\n]+ )? \]\( )
        | \] \( [^()\s]* (?: \s{1,9}" [^"\n]* (?: \n [^"\n]+ )? " )? \)
        | \*\* | __ | ~~
        | (?<! [\w*] ) \* (?= [^\s*] ) | (?<= [^\s*] ) \* (?! [\w*] )
        | (?<! [\w_] ) _ (?= [^\W_] ) | (?<= [^\s_] ) _ (?! [\w_] )""",
        ("**", "[^1]", "[1]", "²", r"\*"),
        is_inline=True,
    ),
    Kind(
        "accelerator",  # marks the shortcut key of a menu entry
        r"(?<! [\w&] ) & (?= [^\W\d_] )",
        (),
        ("Q & A",),
        is_inline=True,
    ),
    Kind(
        "picture",
        rf"""(?: [{PICTURES}]
          [\ufe0f\u200d\U000e0020-\U000e007f]* )+ | [\d\#*] \ufe0f? \u20e3
        | (?<! [\w:] ) : [a-z] [a-z\d_+-]{{1,40}} : (?! [\w:] )
        | (?<! \w ) [:;=] [-']? (?: [()|/\\] | [DPp] (?! \w ) )""",
        ("😀", "👍🏽", "✂️", "1️⃣", ":smile:", ";-)", ":D"),
        ("a::b", "12:30"),
        is_inline=True,
    ),
)
"""The kinds of spans, in order of precedence."""

INLINE_KINDS = frozenset(kind.name for kind in KINDS if kind.is_inline)
"""The names of the inline kinds."""

DIVIDING_KINDS = frozenset(kind.name for kind in KINDS if kind.divides)
"""The names of the kinds that divide a text."""

TRIMMED_KINDS = frozenset(kind.name for kind in KINDS if kind.is_trimmed)
"""The names of the kinds that leave final punctuation to the sentence."""


@cache
def span_pattern() -> re.Pattern[str]:
    """Return what matches any span; compiled when a text has a `HINT`, since that takes a while.

    `lastgroup` is the name of the kind, or None for a placeholder character.
    """
    kinds = "|".join(f"(?P<{kind.name}> {kind.pattern} )" for kind in KINDS)
    return re.compile(f"{kinds}| [\U000f0000-\U000f0002]", re.VERBOSE | re.DOTALL)


HINT = re.compile(
    r"""[^\w\s.,!?'"’“”„«»()–—-] | [\d_] | [^\W\d_A-Z][A-Z] | \w\.\w | -- | \(\) | [¹²³⁰⁴-⁹]
    | WEBVTT | \n (?: NOTE | STYLE | REGION )""",
    re.VERBOSE,
)
"""Matches something in every span. Most sentences have no match, so `span_pattern` is not tried."""


def without_punctuation(link: str) -> str:
    """Remove the sentence's punctuation from the end of a link: "(see x.org)." gives x.org."""
    unopened = Counter(
        {end: link.count(end) - link.count(begin) for end, begin in _BRACKETS.items()}
    )
    end = len(link)
    while link[end - 1] in _AFTER_LINK or unopened[link[end - 1]] > 0:
        end -= 1
        unopened[link[end]] -= 1
    return link[:end]


def compile_patterns(
    patterns: Iterable[str], files: Iterable[Path] = ()
) -> tuple[re.Pattern[str], ...]:
    """Compile a user's regular expressions, and those in `files`: one per line, `#` for comments.

    Raises a `UsageError` that names a pattern that is invalid or matches the empty text.
    """
    given = [("", pattern) for pattern in patterns]
    for path in files:
        given += _patterns_in(path)
    return tuple(_compile(where, pattern) for where, pattern in given)


def _patterns_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield file and line of each pattern in a file, and the pattern."""
    try:
        lines = read_bounded(path, _MOST_BYTES).decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8: {error.reason}.") from None
    for number, line in enumerate(lines, 1):
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            yield f"{path}, line {number}: ", pattern


def _compile(where: str, pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{where}{pattern!r} is not a regular expression: {error}.") from None
    if compiled.search(""):
        raise UsageError(
            f"{where}{pattern!r} matches an empty text; let it match one character at least."
        )
    return compiled
