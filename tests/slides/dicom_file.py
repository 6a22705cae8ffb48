"""A DICOM whole-slide image, as small as OpenSlide takes it, written by hand."""

import struct

_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def element(group, number, vr, value, implicit=False):
    if isinstance(value, str):
        value = value.encode()
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack("<HH", group, number)
    if implicit:
        return head + struct.pack("<I", len(value)) + value
    if vr in _LONG:
        return head + vr.encode() + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + vr.encode() + struct.pack("<H", len(value)) + value


def sequence(group, number, *items, undefined=False):
    """Items are the bytes of their elements."""
    if undefined:
        end = b"\xfe\xff\x0d\xe0" + b"\0" * 4
        body = b"".join(b"\xfe\xff\x00\xe0" + b"\xff" * 4 + item + end for item in items)
        head = struct.pack("<HH", group, number) + b"SQ\0\0" + b"\xff" * 4
        return head + body + b"\xfe\xff\xdd\xe0" + b"\0" * 4
    return element(group, number, "SQ", b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(i)) + i for i in items))


def us(group, number, value):
    return element(group, number, "US", struct.pack("<H", value))


def ul(group, number, value):
    return element(group, number, "UL", struct.pack("<I", value))


def write_level(path, pixels, *, series="1.2.3.4", instance="1", mpp=0.5, tile=64, number=1):
    """One level of a series: pixels uint8 (height, width, 3), a multiple of the tile."""
    height, width = pixels.shape[:2]
    tiles = pixels.reshape(height // tile, tile, width // tile, tile, 3).transpose(0, 2, 1, 3, 4)
    kind = "ORIGINAL\\PRIMARY\\VOLUME\\NONE" if number == 1 else "DERIVED\\PRIMARY\\VOLUME\\RESAMPLED"
    wsi, syntax = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.1.2.1"
    uid = f"{series}.{instance}"
    meta = element(2, 0x0002, "UI", wsi) + element(2, 0x0003, "UI", uid) + element(2, 0x0010, "UI", syntax)
    meta = element(2, 0x0001, "OB", b"\0\1") + meta
    spacing = element(0x28, 0x30, "DS", f"{mpp / 1000:g}\\{mpp / 1000:g}")
    data = b"".join([
        element(0x08, 0x08, "CS", kind),
        element(0x08, 0x16, "UI", wsi),
        element(0x08, 0x18, "UI", uid),
        element(0x08, 0x60, "CS", "SM"),
        sequence(0x08, 0x1140, element(0x20, 0x0E, "UI", "9.9.9"), undefined=True),  # a series that is not its own
        element(0x20, 0x0D, "UI", "1.2.3"),
        element(0x20, 0x0E, "UI", series),
        element(0x20, 0x13, "IS", str(number)),
        element(0x20, 0x52, "UI", "1.2.3.9"),
        element(0x20, 0x9311, "CS", "TILED_FULL"),
        us(0x28, 0x02, 3),
        element(0x28, 0x04, "CS", "RGB"),
        us(0x28, 0x06, 0),
        element(0x28, 0x08, "IS", str(tiles.shape[0] * tiles.shape[1])),
        us(0x28, 0x10, tile),
        us(0x28, 0x11, tile),
        us(0x28, 0x100, 8),
        us(0x28, 0x101, 8),
        us(0x28, 0x102, 7),
        us(0x28, 0x103, 0),
        ul(0x48, 0x06, width),
        ul(0x48, 0x07, height),
        sequence(0x48, 0x105, element(0x48, 0x106, "SH", "1") + element(0x48, 0x112, "DS", "20")),
        ul(0x48, 0x302, 1),
        ul(0x48, 0x303, 1),
        sequence(0x5200, 0x9229, sequence(0x28, 0x9110, spacing)),
        element(0x7FE0, 0x10, "OB", tiles.tobytes()),
    ])  # fmt: skip
    path.write_bytes(b"\0" * 128 + b"DICM" + ul(2, 0, len(meta)) + meta + data)
    return str(path)


def write_series(folder, pixels, *, series="1.2.3.4", levels=(1, 2)):
    """A folder with one file per level."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_level(
            folder / f"level-{i}.dcm",
            pixels[::factor, ::factor],
            series=series,
            instance=str(i + 1),
            mpp=0.5 * factor,
            number=i + 1,
        )
        for i, factor in enumerate(levels)
    ]
