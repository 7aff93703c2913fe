"""How values are written in the format strings of programming languages, by gettext's flags.

https://www.gnu.org/software/gettext/manual/html_node/Translators-for-other-Languages.html
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_NEVER = r"(?!)"
_PRINTF = r"""% (?: \d{1,3} \$ | \( [^()\n]{1,64} \) )?
    [-+\#0'I\ ]*+ (?: \d++ | \* )? (?: \. (?: \d++ | \* )? )?
    (?: <[A-Z][A-Za-z0-9]{2,20}> | (?: hh? | ll? | [LqjztZV] )? [diouxXeEfFgGaAcCsSprUm@n%] )"""
_PRINTF_LABEL = r"% (?: \d{1,3} \$ | \( )"
_GCC = r"""%< (?: (?! %[<>] ) . ){0,300}+ %> | % [<>'%}Rm]
    | % (?: \d{1,3} \$ )? [q+\#]*+ (?: \. (?: \d++ | \* ) )? (?: ll? | [wzt] )? [A-Za-z@{]"""
_BRACES = r"""\{\{ [^{}\n]{0,80} \}\} | \{\{ | \}\}
    | \{ (?: [^{}\n] | \{ [^{}\n]* \} )*+ \}"""
_LISP = r"~ (?: [+-]?\d++ | '. | [vV\#,] ){0,16} [:@]* [A-Za-z%&|~()\[\]{}<>;^*?$/_!\n]"
_LISP_LITERAL = r"~ \d* [%&|~\n]"


class Format(NamedTuple):
    """How values are written in the format strings of a language. The patterns are verbose."""

    value: re.Pattern[str]
    """Matches a value, or an escape for a character such as a line end."""
    label: re.Pattern[str]
    """Matches the start of a value that names its argument, so its place is free: `%(name)s`."""
    literal: re.Pattern[str]
    """Matches escapes, which match `value` but stand for none: GCC's `%<`, Lisp's `~%`."""
    mark: str
    """The character that begins a value, if a program fails when it stands alone; otherwise ""."""
    has_numbers: bool
    """Whether `%2$s` stands for the second value."""
    doubles_apostrophes: bool
    """Whether an apostrophe in the text is written `''`."""


def _format(
    value: str,
    *,
    label: str = _NEVER,
    literal: str = _NEVER,
    mark: str = "%",
    has_numbers: bool = False,
    doubles_apostrophes: bool = False,
) -> Format:
    return Format(
        _verbose(value),
        _verbose(label),
        _verbose(literal),
        mark,
        has_numbers,
        doubles_apostrophes,
    )


def _verbose(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_C = _format(_PRINTF, label=_PRINTF_LABEL, literal="%m", has_numbers=True)
_GCC_INTERNAL = _format(_GCC, label=r"% \d{1,3} \$", literal=r"% [<>'%}Rm]", has_numbers=True)
_PYTHON = _format(_PRINTF, label=_PRINTF_LABEL)
_BRACE = _format(_BRACES, label=r"\{ \w", literal=r"\{\{ .* | \}\}", mark="{")
_PERCENT_DIGITS = _format(r"% \d{1,2}", label="%", mark="")
_DIRECTIVES = _format(_LISP, literal=_LISP_LITERAL, mark="~")

FORMATS = {
    "awk": _C,
    "boost": _format(
        rf"% \d{{1,3}} % | % \| [^|%\n]{{1,40}} \| | {_PRINTF}",
        label=r"% (?: \d{1,3} % | \|? \d{1,3} \$ )",
        has_numbers=True,
    ),
    "c": _C,
    "c++": _BRACE,
    "csharp": _BRACE,
    "elisp": _C,
    "gcc-internal": _GCC_INTERNAL,
    "gfc-internal": _GCC_INTERNAL._replace(literal=re.compile("%[<>'%C]")),
    "go": _format(
        r"% [-+\#0\ ]*+ (?: \[ \d{1,3} \] )? (?: \d++ | \* )? (?: \. (?: \d++ | \* )? )? [A-Za-z%]",
        label=r"% [-+\#0\ ]* \[",
    ),
    "java": _format(
        r"""(?<!') ' (?!') [^'\n]+ (?<!') ' (?!')
        | \{ \s* \d{1,3} (?: [^{}] | \{ [^{}]* \} )*+ \}""",
        label=r"\{",
        literal="'.+'",
        mark="{",
        doubles_apostrophes=True,
    ),
    "java-printf": _format(
        r"""% (?: \d{1,3} \$ | < )? [-\#+\ 0,(]*+ \d*+ (?: \.\d++ )?
        (?: [bBhHsScCdoxXeEfgGaAn%] | [tT][A-Za-z] )""",
        label=r"% \d{1,3} \$",
        literal="%n",
        has_numbers=True,
    ),
    "javascript": _format(
        r"% (?: \d{1,3} \$ )? [-+\#0\ ]*+ \d*+ (?: \.\d++ )? [dioufxXeEgGcCsSjO%]",
        label=r"% \d{1,3} \$",
        has_numbers=True,
    ),
    "kde": _PERCENT_DIGITS,
    "kde-kuit": _PERCENT_DIGITS,
    "librep": _C,
    "lisp": _DIRECTIVES,
    "lua": _format(r"% [-+\#0\ ]*+ \d*+ (?: \.\d++ )? [diouxXeEfgGaAcspq%]"),
    "objc": _C,
    "object-pascal": _format(
        r"""% (?: \d{1,3} : )? -? (?: \d++ | \* )? (?: \. (?: \d++ | \* ) )?
        [duefgnmpsxDUEFGNMPSX%]""",
        label=r"% \d{1,3} :",
    ),
    "perl": _format(
        _PRINTF.replace("[LqjztZV]", "[LqjztZVv]"), label=_PRINTF_LABEL, has_numbers=True
    ),
    "perl-brace": _format(r"\{ [A-Za-z_]\w*+ \}", label=r"\{", mark=""),
    "php": _format(
        r"% (?: \d{1,3} \$ )? (?: [-+\ 0] | '. ){0,8} \d*+ (?: \.\d++ )? [bcdeEfFgGhHosuxX%]",
        label=r"% \d{1,3} \$",
        has_numbers=True,
    ),
    "python": _PYTHON,
    "python-brace": _BRACE,
    "qt": _format(r"% L? \d{1,2} | %%", label="% L? [0-9]", mark=""),
    "qt-plural": _format(r"% L? (?: n | \d{1,2} )", label="%", mark=""),
    "ruby": _format(
        rf"% \{{ [^{{}}\n]{{1,64}} \}} | % < \w{{1,64}} > [-+\#0\ ]*+ [\d.]*+ [A-Za-z] | {_PRINTF}",
        label=r"% (?: \d{1,3} \$ | [{<] )",
        has_numbers=True,
    ),
    "rust": _BRACE,
    "scheme": _DIRECTIVES,
    "sh": _format(r"\$ (?: [A-Za-z_]\w*+ | \{ [A-Za-z_]\w*+ \} )", label=r"\$", mark=""),
    "smalltalk": _PERCENT_DIGITS,
    "tcl": _C,
    "ycp": _PERCENT_DIGITS,
}
"""The formats by the flag of an entry, without its `-format`."""


def formats_of(flags: Sequence[str]) -> list[Format]:
    """Return the formats of an entry: none for `no-c-format`, C for an unknown flag."""
    names = (flag.removesuffix("-format") for flag in flags if flag.endswith("-format"))
    known = (FORMATS.get(name, _C) for name in names if not name.startswith(("no-", "possible-")))
    return [*dict.fromkeys(known)]
