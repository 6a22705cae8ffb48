"""The viewer in a real browser, headless."""

import os
import shutil
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from werkzeug.serving import WSGIRequestHandler, make_server

from sknic.saliency import integrated_gradients

from .helpers import CELL, CELL_WITH_TWIN, COLUMNS, ROWS, TOKEN, TWIN

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--window-size=1200,800",
]


class QuietHandler(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass


@contextmanager
def served(app):
    """Address of the page while it is served."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/{TOKEN}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def url(app):
    with served(app) as url:
        yield url


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        missing = "no chromium with chromedriver on this machine (Debian: chromium and chromium-driver)"
        if os.environ.get("SKNIC_TEST_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in [*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With the driver's path given, selenium looks for none to download.
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def wait_for(condition, seconds=40):
    """The condition's value as soon as it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited in vain, saw {value!r}")


class Page:
    """What a user sees and does."""

    def __init__(self, browser, url, fragment="layers="):
        self.browser = browser
        browser.get("about:blank")
        browser.get(f"{url}#{fragment}")
        wait_for(lambda: self.find(".readout") and self.loaded())

    def find(self, selector):
        return self.browser.find_elements("css selector", selector)

    def run(self, script):
        return self.browser.execute_script(script)

    def loaded(self):
        """Whether a tile of every slide has been drawn: a pixel in its middle is no longer empty."""
        return self.run("""
            const canvases = [...document.querySelectorAll('.openseadragon-canvas canvas')];
            return canvases.length > 0 && canvases.every((canvas) =>
                canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3] > 0);
        """)

    def box(self, selector, number=0):
        """Left, top, width and height on the screen, px."""
        place = self.run(f"return document.querySelectorAll({selector!r})[{number}].getBoundingClientRect().toJSON()")
        return tuple(place[name] for name in ("left", "top", "width", "height"))

    def toggle(self, layer):
        (box,) = self.find(f"input[value={layer}]")
        box.click()

    def layer(self, name, number=0):
        """A layer's box, once it stands still."""
        wait_for(lambda: len(self.find(f"img[data-layer={name}]")) > number)
        return self.still(f"img[data-layer={name}]", number)

    def still(self, selector, number=0):
        seen = [None, self.box(selector, number)]
        while seen[-1] != seen[-2]:
            time.sleep(0.25)
            seen.append(self.box(selector, number))
        return seen[-1]

    def point_at(self, x, y, click=False):
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        actions = ActionBuilder(self.browser)
        actions.pointer_action.move_to_location(int(x), int(y))
        if click:
            actions.pointer_action.click()
        actions.perform()

    def text(self, selector):
        return self.find(selector)[0].text


def test_the_page_draws_tiles_without_a_complaint_of_the_browser(browser, url):
    browser.get_log("browser")
    page = Page(browser, url)
    page.toggle("tissue")
    page.layer("tissue")
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert page.text(".name") == "left.tiff"
    assert page.text(".scale").endswith(("µm", "mm"))


def test_a_layer_comes_and_goes_and_lies_on_its_cells(browser, url):
    page = Page(browser, url)
    page.toggle("grid0-feature")
    left, top, width, height = page.layer("grid0-feature")
    assert width / height == pytest.approx(COLUMNS / ROWS, rel=1e-3)
    pixels = page.run("const i = document.querySelector('img.layer'); return [i.naturalWidth, i.naturalHeight]")
    assert pixels == [COLUMNS, ROWS]
    assert page.run("return getComputedStyle(document.querySelector('img.layer')).imageRendering") == "pixelated"
    assert page.find(".legend .bar")
    page.toggle("grid0-feature")
    wait_for(lambda: not page.find("img.layer"))
    assert not page.find(".legend .bar")


def test_each_layer_has_an_opacity_of_its_own(browser, url):
    from selenium.webdriver.common.keys import Keys

    page = Page(browser, url, "layers=grid0-colors:30,tissue")
    page.layer("grid0-colors")
    page.layer("tissue")

    def opacity(layer):
        return page.run(f"return document.querySelector('img[data-layer={layer}]').style.opacity")

    assert (opacity("grid0-colors"), opacity("tissue")) == ("0.3", "0.6")
    page.find("input[aria-label='Opacity of Tissue mask']")[0].send_keys(Keys.ARROW_RIGHT)
    wait_for(lambda: opacity("tissue") == "0.61")
    assert opacity("grid0-colors") == "0.3"
    assert "layers=grid0-colors:30,tissue:61" in browser.current_url


@pytest.mark.parametrize("cell", [(1, 0), (3, 10), (ROWS - 1, COLUMNS - 1)])
def test_the_cell_under_the_cursor_is_read(browser, url, cell):
    page = Page(browser, url, "layers=grid0-feature")
    left, top, width, height = page.layer("grid0-feature")
    page.point_at(left + width * (cell[1] + 0.5) / COLUMNS, top + height * (cell[0] + 0.5) / ROWS)
    number = cell[0] * COLUMNS + cell[1]
    wait_for(lambda: f"Cell {cell[0]}, {cell[1]} · Feature 0 {number}" in page.text(".readout"))


def test_a_click_keeps_the_cell_and_its_address_leads_back_to_it(browser, url):
    page = Page(browser, url, "layers=grid0-feature")
    left, top, width, height = page.layer("grid0-feature")
    page.point_at(left + width * 5.5 / COLUMNS, top + height * 2.5 / ROWS, click=True)
    wait_for(lambda: "Row 2, column 5" in page.text("#cell"))
    address = browser.current_url
    assert "cell=2,5" in address
    again = Page(browser, *address.split("#"))
    wait_for(lambda: "Row 2, column 5" in again.text("#cell"))
    marker, layer = again.still(".marker"), again.still("img.layer")
    assert marker[0] == pytest.approx(layer[0] + layer[2] * 5 / COLUMNS, abs=1.5)
    assert marker[1] == pytest.approx(layer[1] + layer[3] * 2 / ROWS, abs=1.5)
    assert marker[2] == pytest.approx(layer[2] / COLUMNS, abs=1.5)


def test_a_cell_is_reached_by_keyboard_alone(browser, url):
    from selenium.webdriver.common.keys import Keys

    page = Page(browser, url)
    page.find("#row")[0].send_keys("7")
    browser.switch_to.active_element.send_keys(Keys.TAB, "9", Keys.ENTER)
    wait_for(lambda: "Row 7, column 9" in page.text("#cell"))
    assert page.find(".marker")


def test_the_link_to_a_cell_is_offered_in_words(browser, url):
    page = Page(browser, url, "layers=&cell=3,4")
    wait_for(lambda: "Row 3, column 4" in page.text("#cell"))
    page.find("#copy")[0].click()
    wait_for(lambda: "ink" in page.text("#status"))


def test_a_cell_outside_the_grid_is_refused_in_words(browser, url):
    page = Page(browser, url)
    page.find("#row")[0].send_keys("99")
    page.find("#column")[0].send_keys("0")
    page.find("#go button")[0].click()
    wait_for(lambda: f"{ROWS} rows" in page.text("#status"))


def test_the_cells_of_the_slide_are_drawn_where_the_layer_is(browser, url, slides):
    from sknic.slides import Slide

    page = Page(browser, url, "cell=6,8&layers=grid0-feature:0")
    page.layer("grid0-feature")
    left, top, width, height = page.still(".marker")
    with Slide(slides[0]) as slide:
        wanted = slide.read(8 * CELL, 6 * CELL, CELL, CELL).mean(axis=(0, 1))

    def close():
        x, y = left + width / 2, top + height / 2
        seen = page.run(f"""
            const canvas = document.querySelector('.openseadragon-canvas canvas');
            const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
            const at = canvas.getContext('2d');
            return [...at.getImageData(({x} - box.left) * scale, ({y} - box.top) * scale, 1, 1).data];
        """)
        return np.abs(np.array(seen[:3]) - wanted).max() < 12

    wait_for(close)


def test_two_slides_lie_side_by_side_and_move_together(browser, url):
    page = Page(browser, url, "slide=0&beside=1&layers=grid0-feature")
    before = [page.layer("grid0-feature", number) for number in (0, 1)]
    page.find("button[title='Zoom in']")[0].click()
    after = [page.layer("grid0-feature", number) for number in (0, 1)]
    factors = [new[2] / old[2] for new, old in zip(after, before)]
    assert factors[0] == pytest.approx(1.6, rel=0.05)
    assert factors[1] == pytest.approx(factors[0], rel=0.02)


def test_saliency_of_the_model_is_drawn_and_read(browser, url):
    page = Page(browser, url, "cell=3,4")  # the model's saliency is shown first
    page.layer("grid0-grad-cam")
    wait_for(lambda: "Saliency: Grad-CAM" in page.text("#cell"))


def test_the_class_to_explain_is_chosen(browser, slides, grids, ensemble):
    from selenium.webdriver.support.ui import Select

    from sknic.viewer import create_app, open_views

    with served(create_app(open_views(slides, grids, lambda: ensemble), TOKEN)) as url:
        page = Page(browser, url, "layers=grid0-integrated-gradients&cell=2,5")
        for label in "ab":
            wait_for(lambda: page.find("#class")[0].is_displayed())
            Select(page.find("#class")[0]).select_by_visible_text(label)
            wanted = f"Saliency: contributions\n{integrated_gradients(ensemble, grids[0], label)[2, 5]:.4g}"
            wait_for(lambda wanted=wanted: wanted in page.text("#cell"))
        assert "class=1" in browser.current_url


def test_truth_and_prediction_stand_on_the_page(browser, url, model, grids):
    page = Page(browser, url)
    predicted = f"{model.predict(grids[:1])[0]:.3g}"
    wait_for(lambda: page.text("#facts").split("\n") == ["left.tiff", "True score", "0.25", "Prediction", predicted])


def test_the_nearest_neighbor_is_shown_a_click_leads_there_and_back_returns(browser, url):
    page = Page(browser, url, "layers=&cell={},{}".format(*CELL_WITH_TWIN))
    wait_for(lambda: page.find("#similar")[0].is_displayed())
    page.find("#similar")[0].send_keys("\n")
    asked, twin = wait_for(lambda: page.find(".thumbs button"))[:2]
    assert (asked.text, twin.text) == ("left\nthis cell", "right\n0.00")
    wait_for(lambda: page.run("return [...document.querySelectorAll('.thumbs img')].every((i) => i.naturalWidth > 0)"))
    twin.click()
    wait_for(lambda: "Row {}, column {}".format(*TWIN) in page.text("#cell") and "right.tiff" in page.text("#cell"))
    assert page.text(".name") == "right.tiff"
    assert "slide=1" in browser.current_url
    browser.back()
    wait_for(lambda: "Row {}, column {}".format(*CELL_WITH_TWIN) in page.text("#cell"))
    assert page.text(".name") == "left.tiff"


def test_what_is_seen_is_saved_as_a_picture_with_layers(browser, url, tmp_path):
    page = Page(browser, url, "layers=grid0-feature:100")
    place = page.layer("grid0-feature")
    canvas = page.box(".openseadragon-canvas canvas")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.find("button[title='Save this view as PNG']")[0].click()
    (file,) = wait_for(lambda: list(tmp_path.glob("*.png")))
    assert file.name.startswith("left feature ") and file.name.endswith("x.png")
    picture = np.asarray(Image.open(file).convert("RGB"))
    size = page.run("const c = document.querySelector('.openseadragon-canvas canvas'); return [c.width, c.height]")
    zoom = size[0] / canvas[2]
    assert picture.shape == (size[1] + round(34 * zoom), size[0], 3)
    row, column = 9, 3
    x = (place[0] - canvas[0] + place[2] * (column + 0.5) / COLUMNS) * zoom
    y = (place[1] - canvas[1] + place[3] * (row + 0.5) / ROWS) * zoom
    wanted = page.run(f"""
        const image = document.querySelector('img.layer'), one = document.createElement('canvas');
        [one.width, one.height] = [image.naturalWidth, image.naturalHeight];
        one.getContext('2d').drawImage(image, 0, 0);
        return [...one.getContext('2d').getImageData({column}, {row}, 1, 1).data].slice(0, 3);
    """)
    assert np.abs(picture[int(y), int(x)].astype(int) - wanted).max() <= 2
    assert picture[-1, -1].tolist() == [255, 255, 255] and (picture[size[1] :] < 100).any()


def test_the_minimap_leads_and_the_magnification_follows(browser, url):
    page = Page(browser, url)
    page.find("button[title='Zoom in']")[0].click()
    page.find("button[title='Zoom in']")[0].click()
    _, _, wide, high = page.box(".minimap")
    assert wide / high == pytest.approx(COLUMNS / ROWS, rel=0.03)
    left, top, width, height = page.still(".minimap .displayregion")
    assert 0 < width < wide and 0 < height < high
    times, _, um, _ = page.text(".zoom").removeprefix("≈ ").replace("x,", " x,").split(" ")
    assert float(times) == pytest.approx(10 / float(um), rel=0.06)
    scale = page.run("return parseFloat(document.querySelector('.scale').style.width)")
    length = float(page.text(".scale").split()[0]) / (0.001 if page.text(".scale").endswith("mm") else 1)
    assert float(um) == pytest.approx(length / scale, rel=0.06)


def test_the_page_fits_a_phone(browser, url):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page = Page(browser, url, "layers=grid0-colors&cell=3,4")
        assert page.run("return document.documentElement.scrollWidth") <= 390
        _, top, width, height = page.box("#panes")
        assert width == 390 and height > 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize(
    "path", ["..", "../slides", "../wrong/slides", "slides/0/tiles/0/..%2f..%2fetc/passwd", "slides/9/layers/tissue"]
)
def test_the_browser_is_refused_without_token_and_outside_the_slides(browser, url, path):
    page = Page(browser, url)
    status = browser.execute_async_script(
        f"const done = arguments[0]; fetch({path!r}).then((answer) => done(answer.status))"
    )
    assert status in (403, 404)
    assert page.text(".name") == "left.tiff"
