"""The dose of the test-time training is chosen on training cases, never on test cases."""

import json

import numpy as np

from fetusmap.experiment.cohort import cases_to_train_on, load_test_cases, tuning_cases
from fetusmap.experiment.dose import best_dose, load_dose
from fetusmap.experiment.profile import NETWORKS, TUNING_NETWORK
from fetusmap.experiment.tables import dose_table


def test_the_smallest_error_after_a_step_decides():
    errors = {
        "0.0005": np.array([4.4, 3.9, 4.4, 4.7]),
        "0.0001": np.array([4.4, 4.0, 3.9, 3.8]),
        "5e-05": np.array([3.7, 4.2, 4.1, 3.8]),  # the error before the first step is no choice
    }
    dose = best_dose(errors, cases=7)
    assert (dose.learning_rate, dose.iterations, dose.cases) == (1e-4, 3, 7)
    assert (dose.settings.learning_rate, dose.settings.iterations) == (1e-4, 3)
    assert dose.settings.support == 10
    lines = dose_table(dose).markdown().splitlines()
    assert [line for line in lines if "**3.80**" in line] == [
        "| 0.0001 | 4.40 | 4.00 | 3.90 | **3.80** |"
    ]


def test_the_tuning_network_never_sees_the_cases_of_the_choice(finished, tiny):
    names = {
        "all": cases_to_train_on(finished.folder, tiny, NETWORKS[0]),
        "part": cases_to_train_on(finished.folder, tiny, TUNING_NETWORK),
        "tuning": tuning_cases(finished.folder, tiny),
        "test": load_test_cases(finished.folder),
    }
    found = {key: [case.name for case in cases] for key, cases in names.items()}
    assert found["all"] == found["part"] + found["tuning"]
    assert len(found["tuning"]) == 4
    assert not set(found["test"]) & set(found["all"])


def test_the_errors_of_the_choice_are_the_means_over_its_cases(finished, tiny):
    folder = finished.folder / "tuning"
    tried = [
        json.loads((folder / f"{case.name}.json").read_text())
        for case in tuning_cases(finished.folder, tiny)
    ]
    dose = load_dose(finished.folder)
    assert dose.cases == len(tried)
    for rate, errors in dose.errors_mm.items():
        np.testing.assert_allclose(errors, np.mean([one[rate] for one in tried], axis=0), atol=1e-4)
    before = {errors[0] for errors in dose.errors_mm.values()}
    assert len(before) == 1  # before the first step, the learning rate makes no difference
    assert (
        "Dose of the test-time training" in (finished.folder / "results" / "report.md").read_text()
    )
