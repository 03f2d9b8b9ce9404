"""A visitor without a browser: speaks with a Streamlit server over its websocket, as the page in a browser does.

It knows no more than a click needs: which widgets the page has, how their values are sent, when the run that follows has ended, and
that parts of a page ask to be drawn again every so often. The messages are Streamlit's own (`streamlit.proto`).
"""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

WAIT_S = 60.0
TICK_S = 0.02
WIDGETS = ("button", "button_group", "checkbox")
WHOLE, PART = ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY


@dataclass(frozen=True)
class Widget:
    """A widget that a run has drawn."""

    id: str
    fragment: str
    """The part of the page that is drawn again when it is clicked; empty for all of it."""


class Session:
    """One visit, from the first run of the script to the end of the connection.

    Parameters
    ----------
    url:
        Address of the server, such as `http://127.0.0.1:8501`.
    query:
        The part of the page's address after the question mark. It follows the page.
    """

    def __init__(self, url: str, query: str = "") -> None:
        self.query = query
        self.widgets: dict[str, Widget] = {}
        """By their labels; of two with one label the later."""
        self._values: dict[str, WidgetState] = {}
        self._timers: dict[str, tuple[float, float]] = {}
        self._ends = {WHOLE: 0, PART: 0}
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._closing = threading.Event()
        address = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
        self._socket = connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, legacy=True)
        for work in (self._listen, self._redraw):
            threading.Thread(target=work, daemon=True).start()
        self.open_s = self._run("")
        """Seconds until the first run had ended."""

    def choose(self, label: str, option: str) -> float:
        """Press an option of a segmented control or of pills; returns the seconds until the run that follows has ended."""
        return self._set(label, string_array_value={"data": [option]})

    def check(self, label: str, *, checked: bool) -> float:
        """Set a checkbox; returns the same."""
        return self._set(label, bool_value=checked)

    def press(self, label: str) -> float:
        """Press the first button whose label begins so; returns the same."""
        found = next(name for name in self.widgets if name.startswith(label))
        widget = self.widgets[found]
        return self._run(widget.fragment, WidgetState(id=widget.id, trigger_value=True))

    def open(self, label: str) -> float:
        """Open a button's list that is drawn only while it is open; returns the same."""
        return self._set(label, bool_value=True)

    def shut(self, label: str) -> float:
        """Close it again; returns the same."""
        return self._set(label, bool_value=False)

    def close(self) -> None:
        """Leave."""
        self._closing.set()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _set(self, label: str, **value: Any) -> float:
        widget = self.widgets[label]
        self._values[widget.id] = WidgetState(id=widget.id, **value)
        return self._run(widget.fragment)

    def _run(self, fragment: str, trigger: WidgetState | None = None) -> float:
        """Ask for a run of the page, or of a part of it, and wait for its end. Raises `TimeoutError`."""
        started = time.perf_counter()
        with self._changed:
            before = dict(self._ends)
            self._ask(fragment, trigger)
            wanted = (WHOLE, PART) if fragment else (WHOLE,)
            if not self._changed.wait_for(lambda: any(self._ends[kind] > before[kind] for kind in wanted), WAIT_S):
                raise TimeoutError(f"No run has ended within {WAIT_S:g} s.")
        return time.perf_counter() - started

    def _ask(self, fragment: str, trigger: WidgetState | None = None, *, unasked: bool = False) -> None:
        message = BackMsg()
        run = message.rerun_script
        run.query_string, run.fragment_id, run.is_auto_rerun = self.query, fragment, unasked
        run.widget_states.widgets.extend([*self._values.values(), *([trigger] if trigger else [])])
        with self._sending:
            self._socket.send(message.SerializeToString())

    def _listen(self) -> None:
        while True:
            try:
                data = self._socket.recv()
            except ConnectionClosed:
                return
            assert isinstance(data, bytes)
            with self._changed:
                self._take(ForwardMsg.FromString(data))
                self._changed.notify_all()

    def _take(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session" if not message.metadata.run.fragment_ids:
                self._timers.clear()
            case "delta" if message.delta.WhichOneof("type") == "new_element":
                kind = message.delta.new_element.WhichOneof("type")
                if kind in WIDGETS:
                    element = getattr(message.delta.new_element, kind)
                    self.widgets[element.label] = Widget(element.id, message.delta.fragment_id)
            case "delta" if message.delta.add_block.popover.id:
                popover = message.delta.add_block.popover
                self.widgets[popover.label] = Widget(popover.id, message.delta.fragment_id)
            case "page_info_changed":
                self.query = message.page_info_changed.query_string
            case "auto_rerun":
                interval_s = message.auto_rerun.interval
                self._timers[message.auto_rerun.fragment_id] = (interval_s, time.monotonic() + interval_s)
            case "stop_auto_rerun":
                for fragment in message.stop_auto_rerun.fragment_ids:
                    self._timers.pop(fragment, None)
            case "script_finished" if message.script_finished in self._ends:
                self._ends[message.script_finished] += 1

    def _redraw(self) -> None:
        """Ask for the parts of the page that want to be drawn again, when it is time."""
        while not self._closing.wait(TICK_S):
            with self._changed:
                due = [fragment for fragment, (_, at) in self._timers.items() if at <= time.monotonic()]
                for fragment in due:
                    self._timers[fragment] = (self._timers[fragment][0], time.monotonic() + self._timers[fragment][0])
            try:
                for fragment in due:
                    self._ask(fragment, unasked=True)
            except ConnectionClosed:
                return
