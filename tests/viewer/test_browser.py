"""The viewer in a real browser, headless."""

import os
import shutil
import threading
import time

import numpy as np
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from .helpers import CELL, COLUMNS, ROWS, TOKEN

ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--window-size=1200,800",
]


class QuietHandler(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass


@pytest.fixture(scope="module")
def url(app):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/{TOKEN}/"
    server.shutdown()
    thread.join()
    server.server_close()


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

    def __init__(self, browser, url, fragment=""):
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


def test_the_opacity_of_layers_follows_the_slider(browser, url):
    page = Page(browser, url, "layers=grid0-colors&opacity=30")
    page.layer("grid0-colors")
    assert page.run("return document.querySelector('img.layer').style.opacity") == "0.3"


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
    page = Page(browser, url, "cell=3,4")
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

    page = Page(browser, url, "cell=6,8&layers=grid0-feature&opacity=0")
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
    page = Page(browser, url, "cell=3,4")
    page.toggle("grid0-grad-cam")
    page.layer("grid0-grad-cam")
    wait_for(lambda: "Saliency: Grad-CAM" in page.text("#cell"))


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
