"""HTML: its text is divided at blocks and translated, and the rest is as it was."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.serving.html import HtmlDocument

_TAG = re.compile(r"(<[^<>]*>)")


def shout(text: str) -> str:
    """Upper case, all but what is between angle brackets."""
    return "".join(part if n % 2 else part.upper() for n, part in enumerate(_TAG.split(text)))


def shouted(markup: str) -> str:
    document = HtmlDocument(markup)
    return document.render([*map(shout, document.texts)])


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("plain", "PLAIN"),
        ("", ""),
        ("<p>one</p>", "<p>ONE</p>"),
        ("<p>one<p>two", "<p>ONE<p>TWO"),
        ("<ul>\n <li> one </li>\n <li>two</li></ul>", "<ul>\n <li> ONE </li>\n <li>TWO</li></ul>"),
        ("one<br>two<BR/>three", "ONE<br>TWO<BR/>THREE"),
        ("<title>a <b> c</title>", "<title>A &lt;b&gt; C</title>"),
        ('<p title="do > not" data-x=\'a"b\'>do</p>', '<p title="do > not" data-x=\'a"b\'>DO</p>'),
        ("<a href=x/>y</a>", "<a href=x/>Y</a>"),
        ("fish &amp; chips &lt;3", "FISH &amp; CHIPS &lt;3"),
        ("caf&eacute; &#98;&#x61;r", "CAFÉ BAR"),
        ("a&nbsp;b", "A&nbsp;B"),
        ("1 < 2, and so", "1 &lt; 2, AND SO"),
        ("1 &gt; 0", "1 &gt; 0"),  # no letter: as it was
        ("one <!-- two --> three", "ONE <!-- two --> THREE"),
        ("one <!-- unfinished", "ONE <!-- unfinished"),
        ("one <b unfinished", "ONE <b unfinished"),
        ("<script>if (a<b) {x}</script>one", "<script>if (a<b) {x}</script>ONE"),
        ("<style>p{}</style>one<style>q", "<style>p{}</style>ONE<style>q"),
        ("<pre>one <b>two</b></pre>three", "<pre>one <b>two</b></pre>THREE"),
        ("run <code>ls <code>x</code> y</code> now", "RUN <code>ls <code>x</code> y</code> NOW"),
        ("<textarea>one</p></textarea>two", "<textarea>one</p></textarea>TWO"),
        ("<svg><text>one</text><svg/></svg>two", "<svg><text>one</text><svg/></svg>TWO"),
        ("<svg/>one", "<svg/>ONE"),
        ("<p translate=no>one</p>two", "<p translate=no>one</p>TWO"),
        ('<p translate="NO">one</p>two', '<p translate="NO">one</p>TWO'),
        ("say <i class='x notranslate'>this</i>", "SAY <i class='x notranslate'>this</i>"),
        ('<i title=" translate=no ">one</i>', '<i title=" translate=no ">ONE</i>'),
        ("<i title=translate>one</i>", "<i title=translate>ONE</i>"),
        ("<!DOCTYPE html><?php x ?></>one", "<!DOCTYPE html><?php x ?></>ONE"),
        ("<my-word>one</my-word> two", "<my-word>ONE</my-word> TWO"),
        ("</b>one<b>", "</b>ONE<b>"),
    ],
)
def test_text_alone_is_translated(markup: str, expected: str) -> None:
    assert shouted(markup) == expected


@pytest.mark.parametrize(
    ("markup", "texts"),
    [
        ("<p>One <b>big</b>\n  house.</p>", ["One <g1>big</g1> house."]),
        ("<p><a href='x'><b>One</b></a> </p>", ["One"]),
        ("<b>One</b> and <b>two</b>", ["<g1>One</g1> and <g2>two</g2>"]),
        ("<b><i>One</i> two</b>", ["<g1>One</g1> two"]),
        ("<img src=x> One <img src=y> two <img>", ["One <g1/> two"]),
        ("<b>One</i> two", ["One<g1/> two"]),
        ("&lt;g1&gt; <i>x</i> y", ["<g1> <gg1>x</gg1> y"]),
        ("<td>1</td><td>One</td><td> </td>", ["One"]),
        ("<div>One<div>two</div>three</div>", ["One", "two", "three"]),
        ("<button>Save</button><button>Cancel</button>", ["Save", "Cancel"]),
        ("<label>Name<input></label><label>Place<input></label>", ["Name", "Place"]),
        ("<select><option>One<option>two</select>", ["One", "two"]),
        ("<dl><dt>One<dd>two</dl>", ["One", "two"]),
        ("<details><summary>One</summary>two</details>", ["One", "two"]),
        ("<fieldset><legend>One</legend>two</fieldset>", ["One", "two"]),
        ("<figure>One<figcaption>two</figcaption></figure>", ["One", "two"]),
        ("<table><caption>One</caption><td>two</table>", ["One", "two"]),
        ("<nav><a>Home</a><a href=x>News</a></nav>", ["Home", "News"]),
        ("<b><a><i>Home</i></a><!-- --><a><img><i>News</i></a></b>", ["Home", "News"]),
        ("<a>Page 1</a><a>Page 2</a> of <b>it</b>", ["Page 1", "<g1>Page 2</g1> of <g2>it</g2>"]),
        ("<a>Home</a> <a>News</a>", ["<g1>Home</g1> <g2>News</g2>"]),
        ("<b>One </b><i>two</i><u>, three</u>", ["<g1>One </g1><g2>two</g2><g3>, three</g3>"]),
        ("<i>x</i><sub><i>n</i></sub> is", ["<g1>x</g1><g2><g3>n</g3></g2> is"]),
        ("un<b>likely</b>", ["un<g1>likely</g1>"]),
    ],
)
def test_what_is_given_to_the_translator(markup: str, texts: list[str]) -> None:
    assert HtmlDocument(markup).texts == texts


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("<g1>Eins</g1> und <g2>zwei</g2>", "<b>Eins</b> und <i>zwei</i>"),
        ("Eins und zwei", "Eins und zwei<b></b><i></i>"),
        ("Eins</g1> und <g2>zwei</g2>", "Eins<b></b> und <i>zwei</i>"),
        ("<g2>zwei</g2> und <g1>eins</g1>", "<b></b><i>zwei</i> und eins"),
        ("<g1>a</g1><g1>b</g1> <g2>c</g2><g9/>", "<b>a</b>b <i>c</i>"),
        ("<g1><script>&</g1>", "<b>&lt;script&gt;&amp;</b><i></i>"),
    ],
)
def test_whatever_becomes_of_its_tags_the_markup_stays(translation: str, expected: str) -> None:
    assert HtmlDocument("<b>One</b> and <i>two</i>").render([translation]) == expected


_WORDS = st.sampled_from(
    ["one", "two &amp; three", " ", "\n\t", "&nbsp;", "&#233;", "1 < 2", "a&b"]
)
_NAMES = st.sampled_from(["p", "b", "i", "div", "span", "li", "code", "script", "x-y", "svg"])
_TAGS = st.one_of(
    _NAMES.map("<{}>".format),
    _NAMES.map("</{}>".format),
    _NAMES.map('<{} class="a > b" hidden>'.format),
    st.sampled_from(
        ["<br>", "<img src='x'/>", "<!-- c -->", "<!doctype html>", "<p translate=no>"]
    ),
)
_BROKEN = st.sampled_from(
    ["<", "</", "<!", "<!--", "-->", '"', "'", "=", ">", "<a b='", "</>", "&"]
)
_MARKUP = st.lists(st.one_of(_WORDS, _TAGS, _BROKEN, st.text(max_size=3))).map("".join)


@given(_MARKUP)
def test_what_is_translated_to_itself_is_the_same_byte_for_byte(markup: str) -> None:
    document = HtmlDocument(markup)
    assert document.render(document.texts) == markup


@given(st.lists(st.one_of(_WORDS, _TAGS)).map("".join))
def test_markup_is_the_same_whatever_the_translation(markup: str) -> None:
    """By the standard library's parser, which is another than ours."""
    document = HtmlDocument(markup)
    rendered = document.render([f"<<{text.swapcase()}>> &" for text in document.texts])
    assert _Markup.of(rendered) == _Markup.of(markup)


class _Markup(HTMLParser):
    """The tags of a document, in order."""

    @classmethod
    def of(cls, markup: str) -> list[str]:
        parser = cls()
        parser.feed(markup)
        parser.close()
        return parser.found

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(f"<{tag} {attrs}>")

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}-->")


@pytest.mark.parametrize(
    "part",
    [
        "<a",
        "<a/",
        "<a b='",
        '<a b="',
        "<!--",
        "</",
        "<![CDATA[",
        "<script>",
        "<svg>",
        "<b>x",
        "x</b>",
        "<b>x</b>",
        "x</b><b>",
    ],
)
def test_hostile_markup_is_read_in_one_go(part: str) -> None:
    """`html.parser` takes minutes for some of these, and so would this test."""
    markup = part * (50_000 // len(part))
    assert len(shouted(markup)) >= len(markup)
