"""Write both pictures into `assets/samples`, or into the folder that is given."""

import sys
from pathlib import Path

from assets.drawing import scene, sheet

out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "samples"
out.mkdir(parents=True, exist_ok=True)
for name, draw in (("text.png", sheet.draw), ("drawing.png", scene.draw)):
    draw().save(out / name, "PNG", optimize=True)
    print(f"{out / name}: {(out / name).stat().st_size / 1000:.0f} kB")
