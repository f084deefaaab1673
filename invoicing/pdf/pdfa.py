"""A PDF and its e-invoice -> one PDF/A-3 with the XML inside: ZUGFeRD, in France Factur-X (profile EN 16931)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import pikepdf
from pikepdf import Array, AttachedFileSpec, Dictionary, Name, Pdf, Stream, String

XML_NAME: Final = "factur-x.xml"  # fixed by the specification
COLOURS: Final = Path(__file__).resolve().parent / "colour" / "sRGB.icc"
PRINTED: Final = 4  # flag of an annotation
XMP: Final = """<?xpacket begin="\N{ZERO WIDTH NO-BREAK SPACE}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
   <pdfaid:part>3</pdfaid:part>
   <pdfaid:conformance>B</pdfaid:conformance>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/">
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
   <dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>
   <pdf:Producer>{producer}</pdf:Producer>
   <xmp:CreatorTool>{producer}</xmp:CreatorTool>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/"
    xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
   <pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
    <pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>
    <pdfaSchema:namespaceURI>urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI>
    <pdfaSchema:prefix>fx</pdfaSchema:prefix>
    <pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property>
   </rdf:li></rdf:Bag></pdfaExtension:schemas>
  </rdf:Description>
  <rdf:Description rdf:about="" xmlns:fx="urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#">
   <fx:DocumentType>INVOICE</fx:DocumentType>
   <fx:DocumentFileName>{file_name}</fx:DocumentFileName>
   <fx:Version>1.0</fx:Version>
   <fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""
PROPERTY: Final = """<rdf:li rdf:parseType="Resource">
     <pdfaProperty:name>{name}</pdfaProperty:name>
     <pdfaProperty:valueType>Text</pdfaProperty:valueType>
     <pdfaProperty:category>external</pdfaProperty:category>
     <pdfaProperty:description>{description}</pdfaProperty:description>
    </rdf:li>"""
PROPERTIES: Final = {
    "DocumentFileName": "name of the embedded XML invoice file",
    "DocumentType": "INVOICE",
    "Version": "The actual version of the Factur-X XML schema",
    "ConformanceLevel": "The conformance level of the embedded Factur-X data",
}
PRODUCER: Final = "Kontor"


def with_einvoice(document: bytes, xml: bytes, *, language: str, on: date) -> bytes:
    """The document, whose fonts are all embedded, as PDF/A-3B that carries ``xml`` of the day ``on``.

    Equal input gives equal bytes.
    """
    with Pdf.open(BytesIO(document)) as pdf:
        title, author = (str(pdf.docinfo.get(key, "")) for key in (Name.Title, Name.Author))
        root = pdf.Root
        root.Lang = String(language)
        root.OutputIntents = Array([pdf.make_indirect(output_intent(pdf))])
        root.Metadata = pdf.make_indirect(described(pdf, title, author))
        embed(pdf, xml, on)
        drop_unused_fonts(pdf)
        for annotation in annotations_of(pdf):
            annotation.F = PRINTED
        del pdf.docinfo
        pdf.docinfo = pdf.make_indirect(Dictionary(Title=title, Author=author, Producer=PRODUCER, Creator=PRODUCER))
        out = BytesIO()
        digest = String(sha256(document + xml).digest()[:16])
        pdf.trailer.ID = Array([digest, digest])
        pdf.save(out, min_version="1.7", deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    return out.getvalue()


def output_intent(pdf: Pdf) -> Dictionary:
    """The colours of the document are those of sRGB."""
    profile = Stream(pdf, COLOURS.read_bytes(), N=3)
    return Dictionary(
        Type=Name.OutputIntent,
        S=Name.GTS_PDFA1,
        OutputConditionIdentifier="sRGB",
        Info="sRGB IEC61966-2.1",
        DestOutputProfile=pdf.make_indirect(profile),
    )


def described(pdf: Pdf, title: str, author: str) -> Stream:
    properties = "".join(PROPERTY.format(name=name, description=text) for name, text in PROPERTIES.items())
    packet = XMP.format(
        title=escape(title),
        author=escape(author),
        producer=PRODUCER,
        properties=properties,
        file_name=XML_NAME,
    )
    return Stream(pdf, packet.encode(), Type=Name.Metadata, Subtype=Name.XML)


def embed(pdf: Pdf, xml: bytes, on: date) -> None:
    """Attach the XML as the document's alternative: it says the same."""
    specification = AttachedFileSpec(
        pdf,
        xml,
        filename=XML_NAME,
        mime_type="text/xml",
        description="EN 16931",
        mod_date=f"D:{on:%Y%m%d}000000Z",
        relationship=Name.Alternative,
    )
    pdf.attachments[XML_NAME] = specification
    pdf.Root.AF = Array([specification.obj])


def annotations_of(pdf: Pdf) -> Iterator[pikepdf.Object]:
    for page in pdf.pages:
        yield from page.obj.get(Name.Annots, ())  # type: ignore[misc]


def drop_unused_fonts(pdf: Pdf) -> None:
    """What the renderer declares but does not embed, because nothing is drawn in it."""
    for page in pdf.pages:
        fonts = page.resources.get(Name.Font, Dictionary())
        for name, font in list(fonts.items()):
            if Name.FontDescriptor not in font and Name.DescendantFonts not in font:
                del fonts[name]
