"""What the routes of the server do, without HTTP: corrections, questions, volumes, predictions."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from fetusmap.anatomy import Pose, Review
from fetusmap.corrections import (
    Action,
    Correction,
    CorrectionLog,
    States,
    accept,
    append_correction,
    ask,
    corrected_pose,
    exchange,
    mark_absent,
    move,
    new_correction,
    reset,
    take_over,
)
from fetusmap.errors import BadInput, FetusmapError
from fetusmap.files import decode_json
from fetusmap.io.poses.markups import pose_from_markups
from fetusmap.scale import PredictionSettings, predict_case, write_tables
from fetusmap.serve.cases import base_pose, whole_limbs
from fetusmap.serve.jobs import Job, JobQueue
from fetusmap.serve.limits import ServeLimits, place_in
from fetusmap.serve.models import CorrectionRequest
from fetusmap.serve.uploads import Uploads
from fetusmap.serve.viewing import Viewing
from fetusmap.serve.work import Question, answer_question, prepare_volume
from fetusmap.serve.workspace import Reading, ServedCase, Workspace
from fetusmap.types import Triple
from fetusmap.work_process import WorkProcess


class Application:
    """The state of the server: its cases, its queue, and the process with the estimator."""

    def __init__(
        self,
        workspace: Workspace,
        settings: PredictionSettings,
        limits: ServeLimits | None = None,
        engine: WorkProcess | None = None,
    ) -> None:
        """Combine the parts of a server.

        Args:
            workspace: the cases.
            settings: how volumes are predicted and questions are answered.
            limits: how much the server takes on.
            engine: runs predictions and questions; None starts a process for them when needed.
        """
        limits = limits or ServeLimits()
        self.workspace = workspace
        self.settings = settings
        self.limits = limits
        self.engine = engine or WorkProcess()
        self.jobs = JobQueue(limits.waiting_jobs)
        self.uploads = Uploads(workspace, limits)
        self.viewing = Viewing(limits)
        self._questions = threading.BoundedSemaphore(limits.questions)
        self._preparing = threading.BoundedSemaphore(1)

    def close(self) -> None:
        """Stop all work."""
        self.jobs.close()
        self.engine.close()

    def correct(self, case: ServedCase, request: CorrectionRequest) -> CorrectionLog:
        """Append a correction to the log of a case.

        Raises:
            BadInput: the correction names an unknown landmark or lacks its position.
        """
        prediction = base_pose(case)

        def make(log: CorrectionLog) -> Correction:
            states = _states(prediction, corrected_pose(prediction, log), request)
            return new_correction(
                prediction, request.author, request.action, states, note=request.note
            )

        return append_correction(case.log_path, make)

    def take_markups(self, case: ServedCase, author: str, content: bytes) -> CorrectionLog:
        """Take landmarks back that a person edited in 3D Slicer.

        Args:
            case: the case.
            author: the person.
            content: a markups file with the landmarks of the case.

        Raises:
            BadInput: the content is no markups file, or nothing in it differs.
        """
        prediction = base_pose(case)
        subject = f"markups of {case.name}"
        plain = decode_json(content, subject)
        edited = pose_from_markups(plain, prediction.skeleton, subject)

        def make(log: CorrectionLog) -> Correction:
            states = take_over(prediction, corrected_pose(prediction, log), edited)
            if not states:
                raise BadInput(
                    subject,
                    expected="landmarks that a person moved, placed or removed",
                    found="none",
                    remedy="edit the points in Slicer and save them",
                )
            return new_correction(prediction, author, "import", states)

        return append_correction(case.log_path, make)

    def step(self, case: ServedCase, author: str, action: Action) -> CorrectionLog:
        """Undo the last action of a person, or redo it.

        Raises:
            BadInput: there is none.
        """
        prediction = base_pose(case)

        def make(log: CorrectionLog) -> Correction:
            target = log.to_undo(author) if action == "undo" else log.to_redo(author)
            if target is None:
                raise BadInput(
                    action,
                    expected=f"an action of {author} to {action}",
                    found="none",
                    remedy="correct something first",
                )
            return new_correction(prediction, author, action, target=target.id)

        return append_correction(case.log_path, make)

    def ask_again(self, case: ServedCase, author: str) -> CorrectionLog:
        """Let the landmarks that no person reviewed follow those that one did.

        Raises:
            BadInput: no landmark has been placed, or the volume cannot be read.
            Busy: too many questions wait.
            ResourceError: the answer takes too long, or the memory is not sufficient.
        """
        prediction = base_pose(case)
        pose = corrected_pose(prediction, case.load_log())
        reading = case.reading
        pins = {
            mark.name: ((x, y, z), mark.review)
            for mark in pose
            if mark.review != "machine" and mark.is_present
            for x, y, z in [mark.position_mm.tolist()]
        }
        if reading is None or not reading.file_key or not pins:
            raise BadInput(
                case.name,
                expected="a volume, and landmarks that a person has placed or accepted",
                found="no landmark of a person" if not pins else "no volume",
                remedy="move a landmark first" if not pins else "restore the file of the volume",
            )
        question = _question(reading, pins)
        with place_in(self._questions, "other questions are waiting"):
            answer = self.engine.call(
                partial(answer_question, self.settings, question),
                timeout_s=self.limits.question_s,
                urgent=True,
            )
        states = ask(answer.on(prediction.skeleton))
        return append_correction(
            case.log_path, lambda _: new_correction(prediction, author, "ask", states)
        )

    def prepare(self, case: ServedCase) -> None:
        """Prepare the volume of a case for questions, in the background, if nothing else runs.

        Whoever opens a case calls this, so that the first answer comes soon. An error is not
        reported here: the question itself will report it.
        """
        reading = case.reading
        if reading is None or not reading.file_key or self.jobs.is_busy:
            return
        if not self._preparing.acquire(blocking=False):
            return

        def run() -> None:
            try:
                with suppress(FetusmapError):
                    self.engine.call(
                        partial(prepare_volume, self.settings, _question(reading, {})),
                        timeout_s=self.limits.question_s,
                    )
            finally:
                self._preparing.release()

        threading.Thread(target=run, daemon=True).start()

    def predict(self, name: str) -> Job:
        """Put the prediction of a case into the queue.

        Raises:
            BadInput: this is a dataset, or the volume of the case is not known.
            QueueFull: too many predictions wait.
        """
        self.check_predicts()
        volume = self.workspace.volume_file(name)
        if volume is None:
            raise BadInput(
                name,
                expected="a case with a volume",
                found="none",
                remedy="predict it on the command line",
            )

        def run(cancelled: threading.Event) -> None:
            root, settings = self.workspace.root, self._settings_of(name)
            result = self.engine.call(
                partial(predict_case, root, settings, volume, all_threads=True),
                timeout_s=self.limits.job_s,
                cancelled=cancelled,
            )
            if not self.jobs.is_waiting:  # the tables take long if there are thousands of cases
                self.engine.call(
                    partial(write_tables, root, [result], settings), timeout_s=self.limits.job_s
                )
            if result.error:
                raise FetusmapError(result.error)

        return self.jobs.add(name, run)

    def check_predicts(self) -> None:
        """Check that volumes can be predicted here.

        Raises:
            BadInput: a dataset is served.
        """
        if not self.workspace.predicts:
            raise BadInput(
                self.workspace.root,
                expected="a folder of results",
                found="a dataset, which is left as it is",
                remedy="serve a folder of results to predict volumes",
            )

    def _settings_of(self, name: str) -> PredictionSettings:
        """Return the settings of the server with the reading of an earlier prediction."""
        reading = self.workspace.case(name).reading
        if reading is None:
            return self.settings
        conversion = reading.conversion
        return self.settings.model_copy(
            update={
                "spacing_mm": reading.spacing_mm,
                "voxel_size_mm": conversion.voxel_size_mm,
                "mirror": conversion.mirror,
                "force_spacing": conversion.force_spacing,
            }
        )


def _question(reading: Reading, pins: Mapping[str, tuple[Triple, Review]]) -> Question:
    return Question(
        reading.source,
        reading.file_key,
        reading.spacing_mm,
        reading.conversion,
        reading.limits,
        pins,
    )


def _states(prediction: Pose, pose: Pose, request: CorrectionRequest) -> States:
    """Return the landmarks after a correction, from the prediction and the pose as it is."""
    names = request.landmarks
    match request.action:
        case "move":
            if len(names) != 1 or request.position is None:
                raise BadInput(
                    "move",
                    expected="one landmark and its position",
                    found=f"{len(names)} landmarks",
                    remedy="send one correction per landmark",
                )
            return move(pose, names[0], request.position)
        case "absent" | "outside":
            return mark_absent(pose, names)
        case "accept":
            return accept(pose, names)
        case "accept_case":
            return accept(pose)
        case "exchange":
            return exchange(pose, whole_limbs(pose.skeleton, names) if names else None)
        case "reset":
            return reset(prediction, names or None)
        case _:
            return {}
