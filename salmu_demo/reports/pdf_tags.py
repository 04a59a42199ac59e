"""What a screen reader finds in a PDF: its structure, in the order of reading.

reportlab draws and knows no structure; this adds it as ISO 32000-1 says in 14.7 and 14.8. Each piece of text or image
is drawn between marks with a number that is its own on the page, and an element of the tree names page and number.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFDocument, PDFName, PDFObject, PDFStream, PDFString
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Image, Paragraph

_VERSION: Final = (1, 7)
_METADATA: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:language><rdf:Bag><rdf:li>{language}</rdf:li></rdf:Bag></dc:language>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
"""Title and language as XMP, ISO 16684-1."""


@dataclass(eq=False)
class Element:
    """A piece of a document, and what it consists of.

    Attributes:
        kind: its standard type, such as `P` or `TD`.
        alt: what an image shows, in words.
        scope: what the head of a table is the head of, `Column` or `Row`.
        box: left, lower, right and upper edge of an image on its page, in points.
        kids: what it consists of.
        drawn: pages, from 0, and numbers on them where it was drawn.
    """

    kind: str
    alt: str = ""
    scope: str = ""
    box: tuple[float, ...] = ()
    kids: list["Element"] = field(default_factory=list)
    drawn: list[tuple[int, int]] = field(default_factory=list)

    def add(self, kind: str, alt: str = "", scope: str = "") -> "Element":
        """A new last piece of it."""
        self.kids.append(Element(kind, alt, scope))
        return self.kids[-1]

    def everything(self) -> Iterator["Element"]:
        """It and all below it, in the order of reading."""
        yield self
        for kid in self.kids:
            yield from kid.everything()


class TaggedCanvas(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Pages that know their structure."""

    def __init__(self, root: Element, *positional: Any, **named: Any) -> None:
        """Draw a document whose pieces are those of `root`; the rest is that of reportlab."""
        super().__init__(*positional, pdfVersion=_VERSION, **named)
        self._root = root
        self._owners: dict[int, list[Element]] = {}

    @contextmanager
    def marked(self, element: Element) -> Iterator[None]:
        """What is drawn within is a piece of the document; the heads that a table repeats on its next page are none."""
        if element.scope == "Column" and element.drawn:
            self.begin_decoration()
        else:
            page = self.getPageNumber() - 1
            owners = self._owners.setdefault(page, [])
            self.addLiteral(f"/{element.kind} << /MCID {len(owners)} >> BDC")
            element.drawn.append((page, len(owners)))
            owners.append(element)
        yield
        self.end_mark()

    def begin_decoration(self) -> None:
        """What is drawn up to `end_mark` says nothing, or nothing new."""
        self.addLiteral("/Artifact BMC")

    def end_mark(self) -> None:
        """What is drawn from here on has another meaning."""
        self.addLiteral("EMC")

    def save(self) -> None:
        """Write the file, its structure at the end."""
        if self._code:
            self.showPage()
        document, pages = self._doc, self._doc.Pages.pages
        writer = _Writer(document, {element: _Raw() for element in self._root.everything()})
        top, by_page = _Raw(), _Raw()
        writer.write(self._root, top)
        owners = (" ".join(map(writer.reference_to, self._owners.get(n, ()))) for n in range(len(pages)))
        by_page.text = f"<< /Nums [{' '.join(f'{n} [{found}]' for n, found in enumerate(owners))}] >>"
        top.text = (
            f"<< /Type /StructTreeRoot /K {writer.reference_to(self._root)} /ParentTree {writer.reference(by_page)} "
            f"/ParentTreeNextKey {len(pages)} >>"
        )
        for number, page in enumerate(pages):
            page.__NoDefault__ = [*page.__NoDefault__, "StructParents", "Tabs"]  # What reportlab writes of a page.
            page.StructParents, page.Tabs = number, PDFName("S")
        document.Catalog.StructTreeRoot = top
        document.Catalog.MarkInfo = PDFDictionary({"Marked": "true"})
        about = _METADATA.format(title=escape(document.info.title), language=escape(document.Catalog.Lang.s))
        xmp = PDFDictionary({"Type": PDFName("Metadata"), "Subtype": PDFName("XML")})
        document.Catalog.Metadata = PDFStream(xmp, about.encode())
        super().save()


class TaggedText(Paragraph):  # type: ignore[misc]  # reportlab has no types
    """A paragraph that is a piece of the document, on however many pages it stands.

    Attributes:
        element: the piece.
        bookmark: what the viewer's table of contents calls it, or an empty text.
    """

    element: Element
    bookmark = ""

    @classmethod
    def of(cls, words: str, style: ParagraphStyle, element: Element) -> "TaggedText":
        """Plain words."""
        made = cls(escape(words), style)
        made.element = element
        return made

    def split(self, width: float, height: float) -> "list[TaggedText]":
        """Its parts on this page and the next, which are still one piece."""
        parts: list[TaggedText] = super().split(width, height)
        for part in parts:
            part.element = self.element
        if parts:
            parts[0].bookmark = self.bookmark
        return parts

    def draw(self) -> None:
        """Draw it as a piece."""
        with self.canv.marked(self.element):
            super().draw()


class TaggedImage(Image):  # type: ignore[misc]  # reportlab has no types
    """An image that is a piece of the document."""

    element: Element

    def draw(self) -> None:
        """Draw it as a piece, and note where."""
        left, lower = self.canv.absolutePosition(0, 0)
        self.element.box = (left, lower, left + self.drawWidth, lower + self.drawHeight)
        with self.canv.marked(self.element):
            super().draw()


class _Raw(PDFObject):  # type: ignore[misc]  # reportlab has no types
    """An object as it stands in the file."""

    text = ""

    def format(self, _: PDFDocument) -> bytes:
        return self.text.encode("latin-1")


@dataclass
class _Writer:
    document: PDFDocument
    nodes: dict[Element, _Raw]

    def reference(self, thing: PDFObject) -> str:
        found: bytes = self.document.Reference(thing).format(self.document)
        return found.decode()

    def reference_to(self, element: Element) -> str:
        return self.reference(self.nodes[element])

    def write(self, element: Element, parent: PDFObject) -> None:
        """An element and everything below it."""
        pages = self.document.Pages.pages
        drawn = [(self.reference(pages[page]), number) for page, number in element.drawn]
        if len(drawn) == 1 and not element.kids:  # Nearly all are so, and this is shorter.
            content = f"/Pg {drawn[0][0]}/K {drawn[0][1]}"
        else:
            pieces = [f"<</Type/MCR/Pg {page}/MCID {number}>>" for page, number in drawn]
            content = f"/K[{' '.join([*pieces, *map(self.reference_to, element.kids)])}]"
        if element.alt:
            content += f"/Alt {PDFString(element.alt).format(self.document).decode('latin-1')}"
        if element.scope:
            content += f"/A<</O/Table/Scope/{element.scope}>>"
        if element.box:
            content += f"/A<</O/Layout/BBox[{' '.join(f'{edge:.2f}' for edge in element.box)}]>>"
        self.nodes[element].text = f"<</S/{element.kind}/P {self.reference(parent)}{content}>>"
        for kid in element.kids:
            self.write(kid, self.nodes[element])
