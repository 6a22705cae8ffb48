import base64
import io
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sknic import GridCNNRegressor, viewer
from sknic.exceptions import (
    MissingDependencyError,
    MissingMppError,
    SknicWarning,
    SlideFailureWarning,
    SlideMismatchError,
    UnreadableSlideError,
)
from sknic.grids import Grid
from sknic.saliency import integrated_gradients
from sknic.slides import Slide
from sknic.viewer import create_app, open_views
from sknic.viewer.neighbors import nearest_cells
from sknic.viewer.tiles import Tiles

from .helpers import CELL, CELL_WITH_TWIN, COLUMNS, N_FEATURES, ROWS, TOKEN, TWIN, draw_slide, make_grid

SCRIPTS = sorted(
    path.name for path in (Path(viewer.__file__).parent / "assets").glob("*.js") if not path.name.startswith("open")
)


@pytest.fixture
def client(app):
    return app.test_client()


def picture_of(answer):
    head, data = answer.json["image"].split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize(
    "path", ["/", "/slides", "/wrong/", "/wrong/slides", "/letmei/", f"/{TOKEN}x/slides", "//", "/ü/"]
)
def test_a_request_without_the_token_is_refused(client, path):
    assert client.get(path).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%2fserver.py",
        "server.py",
        "page.html",
        "slides/2/tiles/10/0/0",
        "slides/-1/tiles/10/0/0",
        "slides/left.tiff",
        "slides/0/tiles/10/0/../../../../etc/passwd",
        "slides/0/tiles/99/0/0",
        "slides/0/tiles/10/999/0",
        "slides/0/layers/%2fetc%2fpasswd",
        "slides/0/layers/nothing",
        f"slides/0/layers/grid0-feature?feature={N_FEATURES}",
        "slides/0/layers/grid0-feature?feature=-1",
        "slides/0/grids/1/cells/0/0",
        "slides/0/grids/1/prediction",
        "slides/0/layers/grid0-grad-cam?class=0",
        f"slides/0/grids/0/cells/{ROWS}/0/patch",
        f"slides/0/grids/0/cells/{ROWS}/0/neighbors",
        "slides/0/grids/0/cells/0/0/neighbors",
        f"slides/0/grids/0/cells/{ROWS}/0",
    ],
)
def test_what_was_not_named_at_the_start_is_not_found(client, path):
    answer = client.get(f"/{TOKEN}/{path}")
    assert answer.status_code in (403, 404)
    assert b"root:" not in answer.data


@pytest.mark.parametrize("name", ["", "page.css", *SCRIPTS, "openseadragon.min.js"])
def test_the_page_and_its_parts_are_served_with_a_strict_policy(client, name):
    answer = client.get(f"/{TOKEN}/{name}")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_asks_nothing_of_the_network():
    assets = Path(viewer.__file__).parent / "assets"
    for name in ("page.html", "page.css", *SCRIPTS):
        assert not re.search(r"https?://", (assets / name).read_text())
    assert "Redistribution" in (assets / "openseadragon.LICENSE.txt").read_text()


def test_slides_are_described_without_their_folders(client, slides):
    first = client.get(f"/{TOKEN}/slides").json[0]
    assert first["name"] == "left.tiff"
    assert str(Path(slides[0]).parent) not in client.get(f"/{TOKEN}/slides").text
    assert (first["tiles"]["width"], first["tiles"]["height"]) == (COLUMNS * CELL, ROWS * CELL)
    name = "Grid 1: 64 px at 0.5 µm/px, 6 features"
    assert first["grids"] == [{"name": name, "rows": ROWS, "columns": COLUMNS, "x": 0, "y": 0, "cell": CELL}]
    assert [layer["id"] for layer in first["layers"]] == [
        "tissue", "grid0-grad-cam", "grid0-integrated-gradients", "grid0-colors", "grid0-feature"
    ]  # fmt: skip


def test_the_finest_tile_holds_the_pixels_of_the_slide(client, slides):
    level = client.get(f"/{TOKEN}/slides").json[0]["tiles"]["maxLevel"]
    answer = client.get(f"/{TOKEN}/slides/0/tiles/{level}/1/0")
    tile = np.asarray(Image.open(io.BytesIO(answer.data)), float)
    with Slide(slides[0]) as slide:
        wanted = slide.read(253, 0, tile.shape[1], tile.shape[0])
    assert np.abs(tile - wanted).mean() < 3


def test_many_threads_get_the_tiles_of_one(app):
    paths = [f"/{TOKEN}/slides/{s}/tiles/{level}/0/0" for s in (0, 1) for level in range(6, 11)] * 2
    alone = [app.test_client().get(path).data for path in paths]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda path: app.test_client().get(path).data, paths)) == alone


@pytest.mark.parametrize("layer", ["grid0-colors", "grid0-feature", "grid0-grad-cam", "grid0-integrated-gradients"])
def test_a_layer_of_a_grid_has_a_pixel_a_cell_and_lies_where_the_cells_lie(client, layer):
    answer = client.get(f"/{TOKEN}/slides/0/layers/{layer}")
    picture = picture_of(answer)
    assert picture.shape == (ROWS, COLUMNS, 4)
    assert picture[0, 0, 3] == 0
    assert answer.json["place"] == [0, 0, COLUMNS * CELL, ROWS * CELL]


def test_a_feature_is_drawn_from_blue_to_red(client):
    answer = client.get(f"/{TOKEN}/slides/0/layers/grid0-feature?feature=0")
    picture = picture_of(answer).astype(int)
    assert picture[0, 1, 2] > picture[0, 1, 0] and picture[-1, -1, 0] > picture[-1, -1, 2]
    assert float(answer.json["legend"]["low"]) < float(answer.json["legend"]["high"])


def test_the_tissue_mask_covers_the_slide(client):
    answer = client.get(f"/{TOKEN}/slides/0/layers/tissue")
    assert picture_of(answer)[..., 3].mean() > 200
    np.testing.assert_allclose(answer.json["place"], [0, 0, COLUMNS * CELL, ROWS * CELL], rtol=0.02)


def test_a_grid_that_starts_elsewhere_is_drawn_there(slides):
    grid = Grid(np.ones((1, 4)), [[2, 3]], (4, 5), mpp=1.0, patch_size=32, slide=slides[0], origin=(96, 40))
    (view,) = open_views(slides[:1], [grid])
    picture = view.layers["grid0-feature"].picture(0)
    assert picture.place == (96, 40, 5 * 64, 4 * 64)
    assert np.argwhere(picture.pixels[..., 3]).tolist() == [[2, 3]]
    assert view.cell(0, 2, 3, 0)["x"] == pytest.approx((96 + 3.5 * 64) * 0.5 / 1000)


def test_a_cell_tells_its_place_its_embedding_and_its_values(client, grids):
    client.get(f"/{TOKEN}/slides/0/layers/grid0-grad-cam")
    cell = client.get(f"/{TOKEN}/slides/0/grids/0/cells/2/5?feature=0").json
    number = 2 * COLUMNS + 5
    assert cell["tissue"]
    assert (cell["x"], cell["y"]) == pytest.approx((5.5 * 0.032, 2.5 * 0.032))
    assert cell["values"]["Feature 0"] == str(number)
    assert "Saliency: Grad-CAM" in cell["values"]
    np.testing.assert_allclose(cell["embedding"], grids[0].embeddings[number - 1], atol=1e-4)


def test_a_background_cell_has_no_values(client):
    cell = client.get(f"/{TOKEN}/slides/0/grids/0/cells/0/0").json
    assert not cell["tissue"]
    assert cell["values"] == {} and cell["embedding"] == []


def test_a_look_at_a_cell_starts_no_model(slides, grids):
    def refuse():
        raise AssertionError("the model was asked for")

    (view,) = open_views(slides[:1], grids[:1], refuse)
    assert view.cell(0, 1, 1, 0)["values"].keys() == {"Feature 0"}


def test_colours_mean_the_same_on_two_slides_of_one_encoder(slides, grids):
    alone = open_views(slides[:1], grids[:1])[0].layers["grid0-colors"].picture(0).pixels
    twins = [
        Grid(grids[0].embeddings, grids[0].cells, grids[0].shape, mpp=0.5, patch_size=CELL, slide=s) for s in slides
    ]
    left, right = (view.layers["grid0-colors"].picture(0).pixels for view in open_views(slides, twins))
    np.testing.assert_array_equal(left, right)
    assert left.shape == alone.shape


def test_a_feature_has_one_scale_on_all_slides_of_one_encoder(client):
    left, right = (client.get(f"/{TOKEN}/slides/{i}/layers/grid0-feature?feature=3").json["legend"] for i in (0, 1))
    assert left == right


def test_a_layer_that_cannot_be_drawn_says_why(slides):
    flat = Grid(np.ones((4, 5)), [[0, 0], [0, 1], [1, 0], [1, 1]], (2, 2), mpp=0.5, patch_size=CELL, slide=slides[0])
    client = create_app(open_views(slides[:1], [flat]), TOKEN).test_client()
    answer = client.get(f"/{TOKEN}/slides/0/layers/grid0-colors")
    assert answer.status_code == 422
    assert "vary" in answer.json["error"]


def test_a_slide_without_tissue_beside_others_is_drawn_without_colors(slides, grids):
    scale = {"mpp": 0.5, "patch_size": CELL, "fingerprint": "f"}
    blank = Grid(np.ones((0, N_FEATURES)), np.ones((0, 2)), (ROWS, COLUMNS), slide=slides[1], **scale)
    view = open_views(slides, [grids[0], blank])[1]
    assert not view.layers["grid0-colors"].picture(0).pixels.any()


def test_a_grid_of_another_slide_is_refused_by_name(slides, grids):
    stranger = Grid(np.ones((1, 2)), [[0, 0]], (1, 1), mpp=0.5, patch_size=64, slide="elsewhere.svs")
    with pytest.raises(SlideMismatchError, match="elsewhere"):
        open_views(slides, [*grids, stranger])


def test_a_grid_without_scale_is_refused(slides):
    with pytest.raises(MissingMppError, match=re.escape(slides[0])):
        open_views(slides[:1], [Grid(np.ones((1, 2)), [[0, 0]], (1, 1))])


def test_without_flask_the_error_says_what_to_install(monkeypatch, views):
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'sknic\[viewer\]'"):
        create_app(views, TOKEN)


def test_a_slide_without_pyramid_is_never_read_whole_for_one_tile(slides, monkeypatch):
    monkeypatch.setattr("sknic.viewer.tiles._MAX_SOURCE", 256**2)
    monkeypatch.setattr("openslide.OpenSlide.get_best_level_for_downsample", lambda slide, factor: 0)
    tiles = Tiles(slides[0])
    assert tiles.min_level == tiles.max_level
    assert tiles.jpeg(tiles.max_level - 1, 0, 0) is None


def test_a_damaged_tile_does_not_take_the_others_with_it(slides, monkeypatch):
    import openslide

    tiles = Tiles(slides[0])
    good = tiles.jpeg(8, 0, 0)

    def fail(*args):
        raise openslide.OpenSlideError("broken")

    monkeypatch.setattr(tiles._deep_zoom, "get_tile", fail)
    with pytest.raises(UnreadableSlideError, match="broken"):
        tiles.jpeg(8, 0, 0)
    assert tiles.jpeg(8, 0, 0) == good


def test_slides_of_one_name_in_two_folders_have_a_grid_each(tmp_path):
    paths = []
    for number, folder in enumerate(("P1", "P2")):
        (tmp_path / folder).mkdir()
        paths.append(draw_slide(tmp_path / folder / "HE.tiff", number))
    made = [make_grid(path, seed) for seed, path in enumerate(paths)]
    views = open_views(paths, made[::-1])
    assert [[frame.grid for frame in view.frames] for view in views] == [[made[0]], [made[1]]]
    assert [view.name for view in views] == ["P1-HE.tiff", "P2-HE.tiff"]


def test_a_grid_that_knows_the_name_only_is_refused_where_two_slides_have_it(tmp_path):
    paths = []
    for number, folder in enumerate(("P1", "P2")):
        (tmp_path / folder).mkdir()
        paths.append(draw_slide(tmp_path / folder / "HE.tiff", number))
    with pytest.raises(SlideMismatchError, match=r"P1.*P2"):
        open_views(paths, [make_grid("HE", 0)])


def test_a_renamed_slide_keeps_its_grid_by_digest(tmp_path, slides):
    path = draw_slide(tmp_path / "new name.tiff", 5)
    with Slide(path) as slide:
        header = {"slide": "/gone/old name.tiff", "slide_digest": slide.digest, "mpp": 0.5, "patch_size": CELL}
    grid = Grid(np.ones((1, 2)), [[0, 0]], (1, 1), **header)
    assert [len(view.frames) for view in open_views([slides[0], path, slides[1]], [grid])] == [0, 1, 0]


def test_a_grid_of_another_digest_is_refused_though_the_name_is_the_same(slides):
    grid = Grid(np.ones((1, 2)), [[0, 0]], (1, 1), mpp=0.5, patch_size=CELL, slide=slides[0], slide_digest="other")
    with pytest.raises(SlideMismatchError, match="digest"):
        open_views(slides[:1], [grid])


def test_one_slide_takes_a_grid_of_another_name_with_a_warning(slides):
    grid = Grid(np.ones((1, 2)), [[0, 0]], (1, 1), mpp=0.5, patch_size=CELL, slide="elsewhere.svs")
    with pytest.warns(SknicWarning, match="elsewhere"):
        open_views(slides[:1], [grid])


def test_the_model_s_prediction_is_told_beside_the_truth(client, model, grids):
    assert [view["truth"] for view in client.get(f"/{TOKEN}/slides").json] == [{"score": "0.25"}, {}]
    said = client.get(f"/{TOKEN}/slides/1/grids/0/prediction").json
    assert said == {"prediction": f"{model.predict(grids[1:])[0]:.3g}"}
    assert client.get(f"/{TOKEN}/model").json == {"name": "GridCNNRegressor", "choice": "Target", "choices": []}


def test_without_a_model_there_is_no_prediction_and_no_saliency(slides, grids):
    client = create_app(open_views(slides, grids), TOKEN).test_client()
    assert client.get(f"/{TOKEN}/model").json is None
    assert client.get(f"/{TOKEN}/slides/0/grids/0/prediction").status_code == 404
    assert not any(layer["classes"] for layer in client.get(f"/{TOKEN}/slides").json[0]["layers"])


def test_the_mean_of_an_ensemble_is_shown_and_each_of_its_classes_explained(slides, grids, ensemble):
    client = create_app(open_views(slides, grids, lambda: ensemble), TOKEN).test_client()
    said = client.get(f"/{TOKEN}/slides/0/grids/0/prediction").json
    assert said["probability a"] == f"{ensemble.predict_proba(grids[:1])[0, 0]:.3g}"
    assert client.get(f"/{TOKEN}/model").json["choices"] == ["a", "b"]
    for number, label in enumerate("ab"):
        client.get(f"/{TOKEN}/slides/0/layers/grid0-integrated-gradients?class={number}")
        cell = client.get(f"/{TOKEN}/slides/0/grids/0/cells/2/5?class={number}").json
        wanted = integrated_gradients(ensemble, grids[0], label)[2, 5]
        assert float(cell["values"]["Saliency: contributions"]) == pytest.approx(wanted, rel=1e-3)


def test_each_of_several_targets_is_explained(slides, grids):
    model = GridCNNRegressor(max_steps=8, n_filters=4, device="cpu", n_threads=1, random_state=0)
    model.fit(grids * 2, [[0.0, 3.0], [1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    client = create_app(open_views(slides, grids, lambda: model), TOKEN).test_client()
    assert client.get(f"/{TOKEN}/model").json == {"name": "GridCNNRegressor", "choice": "Target", "choices": ["0", "1"]}
    said = client.get(f"/{TOKEN}/slides/0/grids/0/prediction").json
    assert said == {f"prediction {k}": f"{value:.3g}" for k, value in enumerate(model.predict(grids[:1])[0])}
    values = []
    for query, number in (("", 0), ("?class=0", 0), ("?class=1", 1)):
        client.get(f"/{TOKEN}/slides/0/layers/grid0-integrated-gradients{query}")
        cell = client.get(f"/{TOKEN}/slides/0/grids/0/cells/2/5{query}").json
        values.append(float(cell["values"]["Saliency: contributions"]))
        assert values[-1] == pytest.approx(integrated_gradients(model, grids[0], number)[2, 5], rel=1e-3)
    assert values[1] != values[2]
    assert client.get(f"/{TOKEN}/slides/0/layers/grid0-integrated-gradients?class=2").status_code == 404


def test_the_twin_of_a_cell_is_its_nearest_neighbor_whatever_slide_it_is_on(client, grids):
    row, column = CELL_WITH_TWIN
    found = client.get(f"/{TOKEN}/slides/0/grids/0/cells/{row}/{column}/neighbors?n=5").json
    assert found[0] == {"slide": 1, "name": "right.tiff", "grid": 0, "row": TWIN[0], "column": TWIN[1], "distance": 0}
    table = np.concatenate([np.asarray(grid.embeddings, float) for grid in grids])
    asked = table[row * COLUMNS + column - 1]
    nearest = np.sort(np.linalg.norm(table - asked, axis=1))[1:6]  # the first is the cell itself
    np.testing.assert_allclose([cell["distance"] for cell in found], nearest, atol=1e-4)


def test_neighbors_on_other_slides_are_asked_for(client):
    row, column = CELL_WITH_TWIN
    everywhere, others = (
        client.get(f"/{TOKEN}/slides/0/grids/0/cells/{row}/{column}/neighbors?n=48{option}").json
        for option in ("", "&others")
    )
    assert {cell["slide"] for cell in everywhere} == {0, 1} and {cell["slide"] for cell in others} == {1}
    assert [cell for cell in everywhere if cell["slide"]] == others[: sum(cell["slide"] for cell in everywhere)]


def test_neighbors_are_cells_of_the_same_encoder_only(slides, grids):
    other = Grid(
        grids[1].embeddings, grids[1].cells, grids[1].shape, mpp=0.5, patch_size=CELL, slide=slides[1], fingerprint="g"
    )
    client = create_app(open_views(slides, [grids[0], other]), TOKEN).test_client()
    row, column = CELL_WITH_TWIN
    found = client.get(f"/{TOKEN}/slides/0/grids/0/cells/{row}/{column}/neighbors?n=40").json
    assert len(found) == 40 and {cell["slide"] for cell in found} == {0}


@pytest.mark.parametrize("n", [0, 1, 3, 9])
def test_no_more_cells_are_found_than_there_are(n):
    grids = [
        Grid(np.zeros((0, 2)), np.zeros((0, 2)), (2, 2)),
        Grid([[1.0, 0], [2, 0], [4, 0]], [[0, 0], [0, 1], [1, 0]], (2, 2)),
    ]
    found = nearest_cells(np.zeros(2), grids, n)
    assert [(cell.distance, cell.grid, cell.row, cell.column) for cell in found] == [
        (1, 1, 0, 0), (2, 1, 0, 1), (4, 1, 1, 0)
    ][:n]  # fmt: skip


def test_the_thumbnail_of_a_cell_holds_its_pixels(client, slides):
    answer = client.get(f"/{TOKEN}/slides/0/grids/0/cells/3/10/patch")
    seen = np.asarray(Image.open(io.BytesIO(answer.data)), float)
    with Slide(slides[0]) as slide:
        wanted = slide.read(10 * CELL, 3 * CELL, CELL, CELL)
    assert seen.shape == (CELL, CELL, 3) and np.abs(seen - wanted).mean() < 4


def test_slides_that_cannot_be_shown_are_left_out_where_there_are_others(slides, tmp_path):
    (tmp_path / "text.svs").write_text("no slide")
    with pytest.warns(SlideFailureWarning, match=r"1 slides are left out.*text\.svs"):
        views = open_views([slides[0], tmp_path / "text.svs", slides[1]], on_error="skip")
    assert [view.name for view in views] == ["left.tiff", "right.tiff"]
    with pytest.raises(UnreadableSlideError, match="text"):
        open_views([tmp_path / "text.svs"], on_error="skip")


def test_of_many_slides_only_some_are_open_and_all_can_be_looked_at(slides, monkeypatch):
    monkeypatch.setattr("sknic.viewer.tiles._MAX_OPEN", 2)
    shown = [Tiles(path) for path in slides * 3]
    data = [tiles.jpeg(tiles.max_level, 0, 0) for tiles in shown]
    assert data == data[:2] * 3 and data[0] != data[1]
    assert sum(tiles._deep_zoom is not None for tiles in shown) == 2


def test_stated_um_per_px_are_found_however_the_path_is_written(slides, monkeypatch):
    monkeypatch.chdir(Path(slides[0]).parent)
    name = Path(slides[0]).name
    for stated, shown in (({name: 1.0}, slides[0]), ({os.path.abspath(slides[0]): 1.0}, f"./{name}")):
        (view,) = open_views([shown], slide_mpp=stated)
        assert view.mpp == 1.0
