"""Sphinx configuration. Before each build, figures and tables are rendered from `studies`."""

import json
import sys
from pathlib import Path

DOCS = Path(__file__).parent
STUDIES = DOCS.parent / "studies"
sys.path.insert(0, str(DOCS))

from accuracy_tables import (  # noqa: E402
    accuracy_table,
    draw_reliability,
    further_landmarks_table,
    landmark_table,
)
from figures import write_figures  # noqa: E402
from network_tables import checkpointing_table, prediction_table  # noqa: E402
from plausibility_tables import doubts_table, draw_plausibility, scales_table  # noqa: E402
from quality_tables import (  # noqa: E402
    case_score_table,
    confidence_table,
    draw_case_scores,
    warnings_table,
)
from refinement_tables import (  # noqa: E402
    ablation_table,
    landmark_refinement_table,
    real_refinement_table,
    refinement_table,
)
from simulation_figures import write_simulation_figures  # noqa: E402
from simulation_tables import comparison_table, simulation_tables  # noqa: E402
from tables import performance_table, real_poses_table  # noqa: E402

from fetusmap import __version__  # noqa: E402

project = "FetusMap"
author = "The FetusMap developers"
copyright = "2026, The FetusMap developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "generated/*.md", "experiment/*/*.md"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
napoleon_google_docstring = True
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"FetusMap {release}"
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["tables.css"]

generated = DOCS / "generated"
generated.mkdir(exist_ok=True)
write_figures(generated)
write_simulation_figures(generated)
(generated / "simulation.md").write_text(simulation_tables())
results = json.loads((STUDIES / "results.json").read_text())
(generated / "performance.md").write_text(performance_table(results))
(generated / "prediction.md").write_text(prediction_table(results["prediction"]))
(generated / "checkpointing.md").write_text(checkpointing_table(results["checkpointing"]))
(generated / "accuracy.md").write_text(accuracy_table(results["accuracy"]))
(generated / "landmarks.md").write_text(landmark_table(results["accuracy"]))
(generated / "further-landmarks.md").write_text(further_landmarks_table(results["accuracy"]))
draw_reliability(results["accuracy"], generated / "reliability.png")
quality = results.get("quality")
(generated / "case-score.md").write_text(case_score_table(quality))
(generated / "confidence.md").write_text(confidence_table(quality))
(generated / "warnings.md").write_text(warnings_table(quality))
draw_case_scores(quality, generated / "case-score.png")
(generated / "refinement.md").write_text(refinement_table(results["refinement"]))
(generated / "ablation.md").write_text(ablation_table(results["refinement"]))
(generated / "refined-landmarks.md").write_text(landmark_refinement_table(results["refinement"]))
repaired = json.loads((STUDIES / "real-refinement.json").read_text())
(generated / "real-refinement.md").write_text(real_refinement_table(repaired))
poses = json.loads((STUDIES / "real-poses.json").read_text())
(generated / "real-poses.md").write_text(real_poses_table(poses))
plausible = json.loads((STUDIES / "plausibility.json").read_text())
(generated / "plausibility-doubts.md").write_text(doubts_table(plausible))
(generated / "plausibility-scales.md").write_text(scales_table(plausible))
draw_plausibility(plausible, generated / "plausibility.png")
comparison = json.loads((STUDIES / "real-comparison.json").read_text())
(generated / "real-comparison.md").write_text(comparison_table(comparison))
