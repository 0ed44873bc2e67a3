"""The training loop: sample, predict, compute the loss, step, average, log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import count, islice
from math import inf
from pathlib import Path

import torch
from lightning_fabric import Fabric

from fetusmap.errors import BadInput
from fetusmap.network import HeatmapNetwork
from fetusmap.train.augment import Sample
from fetusmap.train.average import WeightAverage
from fetusmap.train.batches import batch_of
from fetusmap.train.cases import CasePool, case_pool, held_out_cases
from fetusmap.train.config import TrainingConfig
from fetusmap.train.initial import load_initial_weights
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.samples import SampleSource, stream_samples
from fetusmap.train.schedule import rate_at
from fetusmap.train.stages import Stage, stage_of
from fetusmap.train.validation import validate

TIMED_STEPS = 40
"""Number of steps that are timed before the number of steps is planned."""


def train(
    config: TrainingConfig,
    run: RunFolder,
    cache: Path,
    *,
    pool: CasePool | None = None,
    fabric: Fabric | None = None,
    workers: int = 2,
    report: Callable[[dict[str, float]], None] = lambda _: None,
) -> HeatmapNetwork:
    """Train a network, from the start or from the run folder's last checkpoint.

    Every sample is a function of the seed and its number, so a run that was killed and continued
    has the losses of a run that was not.

    Args:
        config: configuration of the run.
        run: folder of the configuration, checkpoints and metrics.
        cache: folder of prepared cases, which several runs may share.
        pool: the cases to train on; None for those that the configuration names.
        fabric: device, precision and processes; None for this machine's processor.
        workers: number of processes that make samples.
        report: called with the metrics of every step.

    Returns:
        The network with averaged weights.
    """
    fabric = fabric or fabric_for(config)
    pool = pool or case_pool(config, cache)
    stage = stage_of(config, pool.skeleton)
    fabric.seed_everything(config.seed, verbose=False)
    network, initial = initial_network(config, stage)
    optimizer = stage.optimizer(network.parameters())
    model, optimizer = fabric.setup(network, optimizer)
    average = WeightAverage(network, config.average)  # a copy on the same device
    objective = stage.objective(fabric)
    state = {"network": network, "optimizer": optimizer, "average": average, **objective.parts}
    done, steps = run.restore(state) or (0, config.steps)
    training, held_out = _sources(config, cache, stage, pool)
    samples = _samples_of_this_process(config, training, fabric, done, workers)
    clock = Clock(config, done, steps)
    with closing(samples):
        for step in count(done):
            if step == clock.steps:
                break
            rate = rate_at(step, clock.steps, config.warmup, config.decay_part)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * rate

            with clock.waiting():
                drawn = list(islice(samples, config.batch // fabric.world_size))
            batch = batch_of(
                drawn, stage.channels, config.sigma_voxels, network.stride, stage.height
            )
            optimizer.zero_grad()
            loss = objective.loss(
                model, batch.volumes.to(fabric.device), batch.targets.to(fabric.device)
            )
            fabric.backward(loss)
            norm = fabric.clip_gradients(model, optimizer, max_norm=config.clip or inf)
            optimizer.step()
            average.update(network)
            aside = objective.after_step(rate)

            metrics = {
                "step": step + 1,
                "loss": float(torch.as_tensor(fabric.all_reduce(loss.detach()))),
                "gradient_norm": float(torch.as_tensor(norm)),
                "learning_rate": config.learning_rate * rate,
                **aside,
                **clock.after(step),
                **(initial if step == 0 else {}),
            }
            last = step + 1 == clock.steps
            if config.validation_cases and (last or (step + 1) % config.validate_every == 0):
                metrics |= validate(average.network, held_out, stage, config)
            if fabric.is_global_zero:
                run.log(metrics)
                report(metrics)
                if clock.is_time_to_save() or last or clock.has_just_planned:
                    run.save(state, step + 1, clock.steps)
    return average.network


def initial_network(
    config: TrainingConfig, stage: Stage
) -> tuple[HeatmapNetwork, dict[str, float]]:
    """Build the network of a run, with the starting weights that its configuration names.

    Returns:
        The network, and metrics of how many starting weights fitted.

    Raises:
        BadInput: the starting weights cannot be read, or none of them fits.
    """
    network = stage.build()
    if config.init is None:
        return network, {}
    return network, load_initial_weights(network, config.init, config.stage)


def _samples_of_this_process(
    config: TrainingConfig, training: SampleSource, fabric: Fabric, done: int, workers: int
) -> Generator[Sample]:
    """Yield every n-th sample after those of the steps that are done, in one of n processes."""
    share = config.batch // fabric.world_size
    if share * fabric.world_size != config.batch:
        raise BadInput(
            "batch",
            expected=f"a multiple of the {fabric.world_size} processes",
            found=f"{config.batch}",
            remedy=f"try --set batch={fabric.world_size}",
        )
    return stream_samples(
        training,
        first=done * config.batch + fabric.global_rank,
        step=fabric.world_size,
        workers=workers,
    )


def fabric_for(config: TrainingConfig, device: str = "cpu") -> Fabric:
    """Return one process on one device, "cpu" or "cuda", in the configured precision."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it logs each start
    return Fabric(accelerator=device, devices=1, precision=config.precision)


class Clock:
    """Measures the time of steps, and plans how many steps fit into the minutes of a run.

    Attributes:
        steps: steps of the run; None until the first ones have been timed.
        has_just_planned: whether the last step planned them. The plan is then saved at once, so
            that a run which is killed keeps its plan.
    """

    def __init__(self, config: TrainingConfig, done: int, steps: int | None) -> None:
        self.steps = steps
        self.has_just_planned = False
        self._config = config
        self._first = done
        self._started = self._saved = time.monotonic()
        self._waited = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block as spent waiting for samples."""
        asked = time.monotonic()
        yield
        self._waited += time.monotonic() - asked

    def after(self, step: int) -> dict[str, float]:
        """Return the times of a step as metrics; plan the steps when enough of them were timed."""
        seconds = time.monotonic() - self._started
        done = step + 1 - self._first
        self.has_just_planned = self.steps is None and done == TIMED_STEPS
        if self.has_just_planned:
            self.steps = max(step + 1, int(60 * self._config.minutes * done / seconds))
        return {
            "seconds": round(seconds, 3),
            "pace": round(seconds / done, 4),
            "waited": round(self._waited / seconds, 4),
            **({} if self.steps is None else {"steps": self.steps}),
        }

    def is_time_to_save(self) -> bool:
        """Return whether the last checkpoint is old; the answer starts a new period."""
        now = time.monotonic()
        is_old = now - self._saved > 60 * self._config.checkpoint_minutes
        if is_old:
            self._saved = now
        return is_old


def _sources(
    config: TrainingConfig, cache: Path, stage: Stage, pool: CasePool
) -> tuple[SampleSource, SampleSource]:
    """Return a source of training samples, and one of samples of held-out cases."""
    training = SampleSource(pool, stage.draw_grid, config.seed, config.intensities)
    if not config.validation_cases:
        return training, training
    others = held_out_cases(config, cache, config.validation_seed, config.validation_cases)
    return training, replace(training, pool=others.pool, in_turn=True)
