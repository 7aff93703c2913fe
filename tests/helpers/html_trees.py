"""Trees of HTML as html5lib builds them, which is another parser than ours, and markup to try."""

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import html5lib

_HTML = "{http://www.w3.org/1999/xhtml}"
_UNTOUCHED = frozenset(
    str.split("code iframe kbd noembed noframes plaintext pre samp script style textarea var xmp")
)


class Tree(NamedTuple):
    """What a browser makes of markup."""

    elements: list[Any]  # nested: name, attributes, children; text that is not translated
    comments: list[str]
    texts: list[str]  # that may be translated, without white space


def tree_of(markup: str, is_whole: bool = False) -> Tree:
    """The tree of a whole document, or of what is set as the content of a `div`."""
    parser = html5lib.HTMLParser(html5lib.getTreeBuilder("etree"))
    root = parser.parse(markup) if is_whole else parser.parseFragment(markup, container="div")
    comments, texts = list[str](), list[str]()

    def walk(element: Any, is_untouched: bool) -> list[Any]:
        children = list[Any]()
        for text, child in _content(element):
            if is_untouched:
                children.append(text)
            else:
                texts.extend(text.split())
            if child is None:
                continue
            if not isinstance(child.tag, str) or child.tag.startswith("<"):  # a comment
                comments.append(child.text)
                continue
            attributes = dict(child.attrib)
            name = child.tag.removeprefix(_HTML)
            kept = (
                is_untouched
                or name in _UNTOUCHED
                or name.startswith("{")  # SVG and MathML
                or attributes.get("translate", "").lower() == "no"
                or "notranslate" in attributes.get("class", "").lower().split(" ")
            )
            children.append([name, sorted(attributes.items()), walk(child, kept)])
        return children

    return Tree(walk(root, False), sorted(comments), texts)


def _content(element: Any) -> Iterator[tuple[str, Any]]:
    """Text, and the element behind it; at the end there is none."""
    text = element.text or ""
    for child in element:
        yield text, child
        text = child.tail or ""
    yield text, None


def scripts(tree: Tree) -> list[Any]:
    """Whatever of a tree a browser runs: scripts, handlers and `javascript:`."""
    running = list[Any]()

    def walk(children: list[Any]) -> None:
        for child in children:
            if isinstance(child, str):
                continue
            name, attributes, inner = child
            if name.rpartition("}")[2] == "script":
                running.append(child)
            for attribute, value in attributes:
                if attribute.startswith("on") or "javascript:" in value:
                    running.append((attribute, value))
            walk(inner)

    walk(tree.elements)
    return running


WORDS = str.split(
    "one two three four. Five it's &quot;six&quot; caf&eacute; a&nbsp;b &lt;img&gt; 7 &amp; ▾ [2] @"
)
INLINE = str.split("a b i em span u font small sub sup code kbd x-y label abbr bdo")
BLOCKS = str.split(
    "p div li ul td tr table section h1 h2 blockquote button select option dt dd title"
)
ATOMS = ("<br>", "<img src=x alt='a > b'>", "<!-- c -->", "<hr/>", "<wbr>", "<input value=one>")
ODD = (
    "<script>if (a<b) {'</p>'}</script>",
    "<script><!-- <script>a</script> b --></script>",
    "<script><!--></script>",
    "<style>p > a {}</style>",
    "<textarea>one <b>two</textarea>",
    "<svg><path d='M0 0'/><text>one</text></svg>",
    "<svg><style><![CDATA[ a > b </svg> <p> ]]></style><title>one <b>two</b></title></svg>",
    "<svg><foreignObject><div>one <b>two</b></div></foreignObject></svg>",
    "<svg viewBox=0/>one</svg>",
    "<math><mi>x</mi><annotation-xml encoding='text/html'><b>y</b></annotation-xml></math>",
    "<svg><p>one</p></svg>",
    "<![CDATA[ one > two ]]>",
    "<noscript><p title='</noscript>'>one</p></noscript>",
    "<noscript>one <b>two</b></noscript>",
    "<iframe><p>one</iframe>",
    "<template><p>one</p></template>",
    "<b translate=no>one <i>two</i></b>",
    "<p class='x notranslate'>one</p>",
    "<a title=one\u00a0two\u000bthree&quot;>four</a>",
    "<i\u00a0x='>one</i>'",
    "</\u017fcript> one",
    "<b/title='one'>two</b>",
    "<p =x>one</p>",
    "<!doctype html>",
    "<?php one ?>",
    "</ one>",
    "<xmp><b>one</xmp>",
)
BROKEN = (
    "<",
    "</",
    "<!",
    "<!--",
    "-->",
    '"',
    "'",
    "=",
    ">",
    "<a b='",
    "</>",
    "&",
    "<plaintext>",
    "<svg>",
)


def markup(chance: random.Random, *, is_broken: bool) -> str:
    """Markup of some elements, nested; where it is broken, tags cross and stay open."""
    parts = list[str]()
    open_ = list[str]()
    for _ in range(chance.randint(1, 40)):
        kind = chance.random()
        if kind < 0.4:
            parts.append(chance.choice(WORDS) + chance.choice(["", " ", " ", "\n"]))
        elif kind < 0.6:
            name = chance.choice(INLINE if chance.random() < 0.7 else BLOCKS)
            open_.append(name)
            parts.append(
                f"<{name} class='{chance.choice('abc')} \"'>" if kind < 0.5 else f"<{name}>"
            )
        elif kind < 0.8 and open_:
            name = open_.pop(chance.randrange(len(open_)) if is_broken else -1)
            parts.append(f"</{name}>")
        elif kind < 0.88:
            parts.append(chance.choice(ATOMS))
        elif kind < 0.96:
            parts.append(chance.choice(ODD))
        elif is_broken:
            parts.append(chance.choice(BROKEN))
    if not is_broken:
        parts += (f"</{name}>" for name in reversed(open_))
    return "".join(parts)
