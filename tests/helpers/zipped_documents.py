"""Zip files of XML for tests: documents of Word, LibreOffice and books, and hostile ones."""

from collections.abc import Container, Iterator, Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
WORD_NAMESPACES = (
    f'xmlns:w="{_WORD}" xmlns:r="{_RELATIONS}" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_STYLES = (
    f"{_XML}<w:styles {WORD_NAMESPACES}><w:docDefaults><w:rPrDefault><w:rPr>"
    '<w:lang w:val="en-US"/></w:rPr></w:rPrDefault></w:docDefaults></w:styles>'
)


def zipped(parts: Mapping[str, str | bytes], stored: Container[str] = ()) -> bytes:
    """A zip file of parts, with a date of 2001."""
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, data in parts.items():
            info = ZipInfo(name, (2001, 2, 3, 4, 5, 6))
            info.compress_type = ZIP_STORED if name in stored else ZIP_DEFLATED
            archive.writestr(info, data)
    return packed.getvalue()


def parts_of(data: bytes) -> dict[str, bytes]:
    """The parts of a zip file, in its order."""
    with ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def facts_of(data: bytes) -> list[tuple[object, ...]]:
    """What a zip file says of its parts, but for their sizes."""
    with ZipFile(BytesIO(data)) as archive:
        return [
            (info.filename, info.date_time, info.compress_type, info.external_attr)
            for info in archive.infolist()
        ]


def docx(body: str, notes: str = "", header: str = "") -> bytes:
    """A document of Word; `notes` are those at the foot of the page."""
    parts = {"document": f"<w:body>{body}<w:sectPr>{_header_of(header)}</w:sectPr></w:body>"}
    if notes:
        parts["footnotes"] = notes
    if header:
        parts["header"] = header
    roots = {"document": "document", "footnotes": "footnotes", "header": "hdr"}
    names = {"document": "document.main", "footnotes": "footnotes", "header": "header"}
    types = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{_TYPES}.{names[name]}+xml"/>'
        for name in parts
    )
    relations = "".join(
        f'<Relationship Id="{name}" Type="{_RELATIONS}/{name}" Target="{name}.xml"/>'
        for name in (*parts, "styles")
        if name != "document"
    )
    return zipped(
        {
            "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'{types}<Override PartName="/word/styles.xml" ContentType="{_TYPES}.styles+xml"/>'
            "</Types>",
            "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships"><Relationship '
            f'Id="d" Type="{_RELATIONS}/officeDocument" Target="word/document.xml"/>'
            "</Relationships>",
            "word/_rels/document.xml.rels": f'{_XML}<Relationships '
            f'xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
            "word/styles.xml": _STYLES,
            **{
                f"word/{name}.xml": f"{_XML}<w:{roots[name]} {WORD_NAMESPACES}>{part}"
                f"</w:{roots[name]}>"
                for name, part in parts.items()
            },
        }
    )  # fmt: skip


def _header_of(header: str) -> str:
    return '<w:headerReference w:type="default" r:id="header"/>' if header else ""


_ODF = "urn:oasis:names:tc:opendocument:xmlns"
ODF_NAMESPACES = " ".join(
    f'xmlns:{prefix}="{_ODF}:{name}:1.0"'
    for prefix, name in {
        "office": "office", "text": "text", "style": "style", "table": "table", "draw": "drawing",
        "fo": "xsl-fo-compatible", "svg": "svg-compatible",
    }.items()
)  # fmt: skip


def odt(body: str, automatic_styles: str = "", header: str = "") -> bytes:
    """A text document of LibreOffice."""
    root = f'{ODF_NAMESPACES} xmlns:officeooo="http://openoffice.org/2009/office"'
    version = f'{root} office:version="1.3"'
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'{_XML}<office:document-content {version}><office:automatic-styles>'
            f"{automatic_styles}</office:automatic-styles><office:body><office:text>{body}"
            "</office:text></office:body></office:document-content>",
            "styles.xml": f'{_XML}<office:document-styles {version}><office:styles>'
            '<style:default-style style:family="paragraph"><style:text-properties '
            'fo:language="en" fo:country="US"/></style:default-style></office:styles>'
            "<office:automatic-styles>"
            '<style:page-layout style:name="L"><style:header-style/></style:page-layout>'
            '</office:automatic-styles><office:master-styles><style:master-page '
            f'style:name="Standard" style:page-layout-name="L"><style:header>{header}'
            "</style:header></style:master-page></office:master-styles></office:document-styles>",
            "META-INF/manifest.xml": f"{_XML}<manifest:manifest "
            f'xmlns:manifest="{_ODF}:manifest:1.0" manifest:version="1.3">'
            '<manifest:file-entry manifest:full-path="/" '
            'manifest:media-type="application/vnd.oasis.opendocument.text"/>'
            '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
            '<manifest:file-entry manifest:full-path="styles.xml" manifest:media-type="text/xml"/>'
            "</manifest:manifest>",
        },
        {"mimetype"},
    )  # fmt: skip


def epub(
    chapters: Mapping[str, str], others: Mapping[str, str] | None = None, language: str = "en"
) -> bytes:
    """A book of chapters, by name, in order; each is what is inside of `body`."""
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>'
        for name in chapters
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    links = "".join(f'<li><a href="{name}.xhtml">Chapter {name}</a></li>' for name in chapters)
    points = "".join(
        f'<navPoint id="{name}"><navLabel><text>Chapter {name}</text></navLabel>'
        f'<content src="{name}.xhtml"/></navPoint>'
        for name in chapters
    )
    html = f'xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}"'
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f'{_XML}<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
            'full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
            "</container>",
            "OEBPS/book.opf": f'{_XML}<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
            'unique-identifier="i"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f'<dc:identifier id="i">x</dc:identifier><dc:title>The red dog</dc:title>'
            f"<dc:creator>Tom Old</dc:creator><dc:language>{language}</dc:language>"
            '<meta property="dcterms:modified">2001-02-03T04:05:06Z</meta></metadata>'
            '<manifest><item id="nav" href="nav.xhtml" properties="nav" '
            'media-type="application/xhtml+xml"/><item id="ncx" href="toc.ncx" '
            f'media-type="application/x-dtbncx+xml"/>{items}</manifest>'
            f'<spine toc="ncx">{order}</spine></package>',
            "OEBPS/nav.xhtml": f'{_XML}<html {html} xmlns:epub="http://www.idpf.org/2007/ops"><head>'
            f'<title>Contents</title></head><body><nav epub:type="toc"><ol>{links}</ol></nav>'
            "</body></html>",
            "OEBPS/toc.ncx": f'{_XML}<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" '
            'version="2005-1"><head><meta name="dtb:uid" content="x"/></head><docTitle><text>'
            f"The red dog</text></docTitle><navMap>{points}</navMap></ncx>",
            **{
                f"OEBPS/{name}.xhtml": f"{_XML}<html {html}><head><title>{name}</title></head>"
                f"<body>{body}</body></html>"
                for name, body in chapters.items()
            },
            **(others or {}),
        },
        {"mimetype"},
    )


def hostile_zips(sound: bytes) -> Iterator[object]:
    """What somebody may send in place of a sound zip file, as parameters of a test."""
    parts = parts_of(sound)
    encrypted = bytearray(sound)
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    kinds = {
        "empty": b"",
        "no zip": b"one two three",
        "old Word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1000),
        "cut": sound[: len(sound) // 2],
        "cut at its end": sound[:-10],
        "damaged": sound[:200] + bytes(200) + sound[400:],
        "bomb": zipped({**parts, "bomb": bytes(40_000_000)}),
        "many parts": zipped({**parts, **{f"{n}": b"" for n in range(10_001)}}),
        "encrypted": bytes(encrypted),
        "other": zipped({"a": b"b"}),
        "climbs": zipped({**parts, "../x": b"x"}),
        "climbs from inside": zipped({**parts, "a/../../x": b"x"}),
        "from the root": zipped({**parts, "/x": b"x"}),
        "from a drive": zipped({**parts, "C:/x": b"x"}),
    }
    for kind, data in kinds.items():
        yield pytest.param(data, id=kind)
