"""HTML: its text is divided at blocks and translated, and the rest is as it was."""

import random
import re
from collections.abc import Callable

import pytest
from helpers.html_trees import markup, scripts, tree_of
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.documents.html_fragment import HtmlFragment

_TAG = re.compile(r"(</?g+\d+/?>)")


def shout(text: str) -> str:
    """Upper case, all but the tags."""
    return "".join(part if n % 2 else part.upper() for n, part in enumerate(_TAG.split(text)))


def shouted(markup: str) -> str:
    document = HtmlFragment(markup)
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
        ("<title>a <b> c</title>", "<title>A &lt;B&gt; C</title>"),
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
        ("say &quot;it's&quot;", "SAY &quot;IT'S&quot;"),
        ('&#39;a&#39; "b"', '&#39;A&#39; "B"'),
        ("<a title=x\u00a0y\u000bz>one</a>", "<a title=x\u00a0y\u000bz>ONE</a>"),
        ("<i\u00a0x='>one</i>'", "<i\u00a0x='>ONE</i>'"),
        (
            "<script><!-- <script> x</script>y --></script>one",
            "<script><!-- <script> x</script>y --></script>ONE",
        ),
        ("<script><!-- x</script>one", "<script><!-- x</script>ONE"),
        ("<script><!--></script>one", "<script><!--></script>ONE"),
        ("<script>x</\u017fcript>one</script>two", "<script>x</\u017fcript>one</script>TWO"),
        (
            "<svg><style><![CDATA[</svg>]]></style></svg>two",
            "<svg><style><![CDATA[</svg>]]></style></svg>TWO",
        ),
        (
            "<svg><script><![CDATA[a>b]]></script></svg>two",
            "<svg><script><![CDATA[a>b]]></script></svg>TWO",
        ),
        ("<![CDATA[one>two]]>", "<![CDATA[one>TWO]]&gt;"),
        ("<svg a=b/>one</svg>two", "<svg a=b/>one</svg>TWO"),
        ("<svg><p>one</p></svg>two", "<svg><p>one</p></svg>two"),  # a browser ends the SVG at <p>
        ("one<plaintext>two<p>", "ONE<plaintext>two<p>"),
        ("<noscript>one</noscript>two", "<noscript>ONE</noscript>TWO"),
        ("<noscript><i x='</noscript>'>one",) * 2,
        ("<select><option>one</select>two", "<select><option>ONE</select>TWO"),
        ("<select><style><i x='</style>one'>",) * 2,
        ("<frameset>one", "<frameset>one"),
        ("<kbd><table></kbd></table>one</kbd>two", "<kbd><table></kbd></table>one</kbd>TWO"),
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
        ("<b>One</i> two", ["One", "two"]),
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
        ("<a>Home</a> <a>News</a> | <a><b>Us</b></a>", ["Home", "News", "Us"]),
        ("See <a>this</a> <a>that</a>", ["See <g1>this</g1> <g2>that</g2>"]),
        ("<b>Where is it</b>?", ["<g1>Where is it</g1>?"]),
        ("1-<i>London, Paris</i>", ["London, Paris"]),
        ("12 <b>cats</b> »", ["12 <g1>cats</g1> »"]),
        ("« <b>12 cats</b> »", ["12 cats"]),
        ("<b>Total</b>: 5 €", ["Total"]),
        ("Core <b class='icon'>▾</b> now <i></i>", ["Core <g1/> now"]),
        ("cat<sup>1</sup> sleeps.<sup><a>[</a>2<a>]</a></sup>", ["cat<g1/> sleeps."]),
        ("1<sup>st</sup> day<sup>of all</sup>", ["1<g1/> day<g2>of all</g2>"]),
        ("Press <kbd>Ctrl</kbd>+<samp>C</samp> or <var>x</var>!", ["Press <g1/>+<g2/> or <g3/>!"]),
        ("<i><b>One</i> two</b> three", ["One", "two", "three"]),
        ("<b>One </b><i>two</i><u>, three</u>", ["<g1>One </g1><g2>two</g2><g3>, three</g3>"]),
        ("<i>x</i><sub><i>n</i></sub> is", ["<g1>x</g1><g2/> is"]),
        ("un<b>likely</b>", ["un<g1>likely</g1>"]),
    ],
)
def test_what_is_given_to_the_translator(markup: str, texts: list[str]) -> None:
    assert HtmlFragment(markup).texts == texts


@pytest.mark.parametrize(
    ("translation", "expected"),
    [
        ("<g1>Eins</g1> und <g2>zwei</g2>", "<b>Eins</b> und <i>zwei</i>"),
        ("Eins und zwei", "Eins und zwei<b></b><i></i>"),
        ("Eins</g1> und <g2>zwei</g2>", "Eins<b></b> und <i>zwei</i>"),
        ("<g2>zwei</g2> und <g1>eins</g1>", "<i>zwei</i> und <b>eins</b>"),
        ("<g1>Eins und <g2>zwei</g2></g1>", "<b>Eins und </b><i>zwei</i>"),
        ("<g2>zwei</g2> und eins", "<b></b><i>zwei</i> und eins"),
        ("\t ", "<b>One</b> and <i>two</i>"),
        ("<g1>a</g1><g1>b</g1> <g2>c</g2><g9/>", "<b>a</b>b <i>c</i>"),
        ("<g1><script>&</g1>", "<b>&lt;script&gt;&amp;</b><i></i>"),
    ],
)
def test_whatever_becomes_of_its_tags_the_markup_stays(translation: str, expected: str) -> None:
    assert HtmlFragment("<b>One</b> and <i>two</i>").render([translation]) == expected


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
    document = HtmlFragment(markup)
    assert document.render(document.texts) == markup


def backwards(text: str) -> str:
    """The words in reverse order, around the tags."""
    parts = _TAG.split(text)
    words = " ".join(parts[::2]).split()
    return "".join(
        part if number % 2 else re.sub(r"\S+", lambda _: words.pop(), part)
        for number, part in enumerate(parts)
    )


def hostile(text: str) -> str:
    """All words in front of the tags, and then whatever might end what they are in."""
    parts = _TAG.split(text)
    evil = """ " ' onclick=a() <script>a()</script> --> ]]> </style><img src=x onerror=a()>"""
    return " ".join(parts[::2]) + evil + "".join(parts[1::2])


_TRANSLATORS = (shout, backwards, hostile)


def check_trees(source: str, translator: Callable[[str], str]) -> None:
    """The tree is the same but for its text, no script is new, and the text is all there."""
    document = HtmlFragment(source)
    rendered = document.render([*map(translator, document.texts)])
    for is_whole in (False, True):
        before, after = tree_of(source, is_whole), tree_of(rendered, is_whole)
        assert after.elements == before.elements
        assert after.comments == before.comments
        assert scripts(after) == scripts(before)
        if translator is shout:
            assert "".join(after.texts).upper() == "".join(before.texts).upper()


@given(_MARKUP, st.sampled_from(_TRANSLATORS))
def test_a_browser_builds_the_same_tree_whatever_the_translation(
    source: str, translator: Callable[[str], str]
) -> None:
    check_trees(source, translator)


@pytest.mark.parametrize("translator", _TRANSLATORS)
@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 2_020), marks=pytest.mark.stress)], ids=str
)
def test_documents_keep_their_tree(seeds: range, translator: Callable[[str], str]) -> None:
    for seed in seeds:
        check_trees(markup(random.Random(seed), is_broken=bool(seed % 2)), translator)


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
    """`html.parser` takes minutes for some of these."""
    markup = part * (10_000 // len(part))
    assert len(shouted(markup)) >= len(markup)
