"""A small sound document of each format, with what its readers look at."""

from collections.abc import Mapping

from helpers.zipped_documents import docx, epub, odt

_ROW = "<w:tr><w:tc><w:p><w:r><w:t>A cell</w:t></w:r></w:p></w:tc></w:tr>"
_DOCX = docx(
    '<w:p><w:r><w:t xml:space="preserve">The red </w:t></w:r><w:r><w:rPr><w:b/></w:rPr>'
    "<w:t>dog</w:t></w:r><w:r><w:t>.</w:t></w:r></w:p>"
    f'<w:tbl>{_ROW}</w:tbl><w:p><w:r><w:footnoteReference w:id="2"/></w:r></w:p>',
    notes='<w:footnote w:id="2"><w:p><w:r><w:t>A note</w:t></w:r></w:p></w:footnote>',
    header="<w:p><w:r><w:t>A header</w:t></w:r></w:p>",
)
_ODT = odt(
    '<text:h>A heading</text:h><text:p>The <text:span text:style-name="b">red</text:span> dog'
    '<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>'
    "<text:note-body><text:p>A note</text:p></text:note-body></text:note></text:p>"
)
_EPUB = epub({"one": "<h1>A chapter</h1><p>The <b>red</b> dog.</p>", "two": "<p>The end</p>"})

_TEXTS = {
    "text": "The red dog.\n\n  It sleeps in the garden, née Café.\n",
    "html": '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>'
    '<style>p {}</style></head><body><p title="A title">The <b>red</b> dog &amp; I.<br>'
    "Café</p><pre>x < y</pre><ul><li>One</li></ul><script>a('b')</script></body></html>\n",
    "po": 'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n#. a note\n#: a.c:1\n#, c-format, fuzzy\n'
    '#| msgid "The dog %s"\nmsgctxt "menu"\nmsgid "The _red dog %s"\nmsgstr "Café"\n\n'
    'msgid "One file"\nmsgid_plural "%d files"\nmsgstr[0] ""\nmsgstr[1] ""\n\n'
    '#~ msgid "old"\n#~ msgstr "alt"\n',
    "srt": "1\n00:00:01,000 --> 00:00:03,000\n<i>The red dog</i>\n\n2\n00:00:03,500 --> "
    "00:00:05,000\nsleeps in the café.\n",
    "vtt": "WEBVTT\n\nNOTE a note\n\n1\n00:01.000 --> 00:03.000 align:start\n<v Tom>The red dog\n\n"
    "00:03.500 --> 00:05.000\nsleeps in the café.\n",
    "json": '{\n  "title": "The red dog",\n  "item_one": "{{count}} file",\n  "item_other": '
    '"{{count}} files",\n  "deep": {"list": ["One", 2, null, true, "caf\\u00e9"]},\n'
    '  "icu": "{n, plural, one {# file} other {# files}} of {name}"\n}\n',
    "yaml": "en:\n  title: The red dog # a note\n  block: |\n    The first line\n    the second\n"
    "  quoted: \"caf\\u00e9 \\\"x\\\"\"\n  list: [One, 'two it''s']\n  files:\n    one: One file\n"
    '    other: "%{count} files"\n  anchor: &a A text\n  alias: *a\n',
    "xliff": '<?xml version="1.0" encoding="UTF-8"?>\n<xliff version="1.2" xmlns="urn:oasis:names:'
    'tc:xliff:document:1.2"><file source-language="en" target-language="de" original="x" '
    'datatype="plaintext"><body><trans-unit id="1" maxwidth="20" size-unit="char"><source>The <g '
    'id="1">red</g> dog<x id="2"/></source><target state="new"/><note>A note</note></trans-unit>'
    '<trans-unit id="2"><source>Café <bpt id="1">&lt;b></bpt>x<ept id="1">&lt;/b></ept></source>'
    "</trans-unit></body></file></xliff>\n",
    "tmx": '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4"><header srclang="en"/><body>'
    '<tu><tuv xml:lang="en"><seg>The <bpt i="1">b</bpt>red<ept i="1">/b</ept> dog</seg></tuv>'
    '<tuv xml:lang="de"><seg>Der rote Hund</seg></tuv></tu></body></tmx>\n',
    "android": '<?xml version="1.0" encoding="utf-8"?>\n<resources xmlns:xliff="urn:oasis:names:tc:'
    'xliff:document:1.2">\n  <string name="a">The <b>red</b> dog\\\'s café\\u00e9</string>\n'
    '  <string name="b"><![CDATA[One & two]]></string>\n  <plurals name="c"><item quantity="one">'
    'One file</item><item quantity="other"><xliff:g id="n">%d</xliff:g> files</item></plurals>\n'
    '  <string-array name="d"><item>"One  "</item></string-array>\n</resources>\n',
    "markdown": "---\ntitle: A page\n---\n# A heading\n\nThe **red** dog, [a link](x.html 'Title')"
    " and `code`.\n\n> A quote\n> * One\n>   1. Two\n\n| a | b |\n|---|---|\n| One | two |\n\n"
    "[^1]: A footnote\n\n```\ncode\n```\n\n<div>Café</div>\n\n$x^2$ ![A picture][ref]\n\n"
    '[ref]: http://example.org "A title"\n',
    "properties": "# a note\ntitle=The red dog\nlong : A text \\\n   that goes on\n"
    "accent=caf\\u00e9 {0} it''s\n!other\nkey\\ two One\n",
    "strings": '/* a note */\n"title" = "The red dog";\n"other" = "caf\\U00e9 \\"x\\" %@";\n',
    "csv": 'key,source,target,note\na,The red dog,,x\nb,"One, ""two""\nthree",alt,\nc,Café,,\n',
    "jsonl": '{"id": 1, "text": "The red dog"}\n{"id": 2, "text": "caf\\u00e9"}\n',
}

XLIFF_2 = """<?xml version="1.0" encoding="UTF-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="de">
<file id="f"><unit id="1"><originalData><data id="d">&lt;br/></data></originalData><segment>
<source>The <pc id="1">red</pc> dog<ph id="2" dataRef="d"/></source></segment></unit></file></xliff>
"""

SAMPLES: Mapping[str, bytes] = {
    **{name: text.encode() for name, text in _TEXTS.items()},
    "docx": _DOCX,
    "odt": _ODT,
    "epub": _EPUB,
}
"""By the name of the format."""
