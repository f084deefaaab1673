"""An uploaded logo -> the picture that stands on every letter: small, opaque, in the colours of a screen."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from django.utils.translation import gettext as _
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from tenants.errors import OperatorError

FORMATS: Final = ("PNG", "JPEG")
MOST_BYTES: Final = 5_000_000
MOST_PIXELS: Final = 40_000_000
WIDTH_MM, HEIGHT_MM = 60, 13  # at most, on paper
LARGEST: Final = (709, 154)  # the same at 300 dots per inch: 330 kB before compression


class NotALogo(OperatorError):
    """A file cannot be used as a logo."""


def normalised(upload: bytes) -> bytes:
    """A PNG or JPEG as PNG in sRGB, on white, at most ``LARGEST`` pixels; equal input gives equal bytes.

    PDF/A knows neither every colour space nor, in its first part, transparency. Raises ``NotALogo``.
    """
    if len(upload) > MOST_BYTES:
        raise NotALogo(_("The logo is larger than %(megabytes)s MB.") % {"megabytes": MOST_BYTES // 1_000_000})
    try:
        with Image.open(BytesIO(upload), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise NotALogo(_("The logo has more than %(pixels)s megapixels.") % {"pixels": MOST_PIXELS // 10**6})
            image.load()
            small = _as_srgb(_fitted(image))
    except NotALogo:
        raise
    except UnidentifiedImageError as error:
        raise NotALogo(
            _("The logo is neither a PNG nor a JPEG. Drawings such as SVG have to be saved as PNG.")
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, ImageCms.PyCMSError) as error:
        raise NotALogo(_("The logo cannot be read: the file is damaged.")) from error
    out = BytesIO()
    small.save(out, "PNG", optimize=True)
    return out.getvalue()


def _fitted(image: Image.Image) -> Image.Image:
    turned = ImageOps.exif_transpose(image)
    turned.info.setdefault("icc_profile", image.info.get("icc_profile"))
    if turned.mode in ("P", "1", "LA", "PA", "I;16", "I"):
        turned = turned.convert("RGBA")
    turned.thumbnail(LARGEST, Image.Resampling.LANCZOS)
    return turned


def _as_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    opaque = image.convert("RGB") if alpha is not None else image
    if profile and opaque.mode in ("RGB", "CMYK", "L"):
        screen = ImageCms.createProfile("sRGB")
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() == {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}[opaque.mode]:
            opaque = ImageCms.profileToProfile(opaque, source, screen, outputMode="RGB") or opaque
    opaque = opaque.convert("RGB")
    paper = Image.new("RGB", opaque.size, "white")
    paper.paste(opaque, mask=alpha)
    return paper
