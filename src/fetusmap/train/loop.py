"""The training loop: sample, predict, compare, step, average, write down."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from fetusmap.anatomy import Skeleton, load_skeleton
from fetusmap.train.average import WeightAverage
from fetusmap.train.batches import batch_of
from fetusmap.train.cases import case_pool, simulated_cases
from fetusmap.train.config import TrainingConfig
from fetusmap.train.run_folder import RunFolder
from fetusmap.train.samples import SampleSource, stream_samples
from fetusmap.train.schedule import rate_at
from fetusmap.train.stages import Stage, stage_of
from fetusmap.train.validation import validate

TIMED_STEPS = 40
"""Steps after which it is known how many fit into the minutes."""


def train(
    config: TrainingConfig,
    run: RunFolder,
    cache: Path,
    *,
    fabric: Fabric | None = None,
    workers: int = 2,
    report: Callable[[dict[str, float]], None] = lambda _: None,
) -> nn.Module:
    """Train a network, from the start or from the run folder's last checkpoint.

    Every sample is a function of the seed and its number, so a run that was killed and goes on
    has the losses of one that was not.

    Args:
        config: of the run.
        run: folder of the configuration, checkpoints and metrics.
        cache: folder that keeps the simulated cases, for any number of runs.
        fabric: device, precision and processes; None for this machine's processor.
        workers: processes that make samples.
        report: called with the metrics of every step.

    Returns:
        The network with averaged weights.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets on each start
    fabric = fabric or Fabric(accelerator="cpu", devices=1, precision=config.precision)
    skeleton = load_skeleton()
    stage = stage_of(config, skeleton)
    fabric.seed_everything(config.seed, verbose=False)
    network = stage.build()
    optimizer = stage.optimizer(network.parameters())
    model, optimizer = fabric.setup(network, optimizer)
    average = WeightAverage(network, config.average)  # a copy on the same device
    state = {"network": network, "optimizer": optimizer, "average": average}
    done, steps = run.restore(state) or (0, config.steps)
    training, held_out = _sources(config, cache, skeleton, stage)
    share = config.batch // fabric.world_size
    samples = stream_samples(
        training,
        first=done * config.batch + fabric.global_rank,
        step=fabric.world_size,
        workers=workers,
    )
    started = saved = time.monotonic()
    waited = 0.0
    with closing(samples):
        for step in count(done):
            if step == steps:
                break
            rate = config.learning_rate * rate_at(step, steps, config.warmup, config.decay_part)
            for group in optimizer.param_groups:
                group["lr"] = rate

            asked = time.monotonic()
            drawn = list(islice(samples, share))
            waited += time.monotonic() - asked
            batch = batch_of(drawn, stage.channels, config.sigma_voxels, stage.stride)
            logits = model(batch.volumes.to(fabric.device))  # (B, C, ...)
            loss = stage.loss(logits, batch.targets.to(fabric.device))
            optimizer.zero_grad()
            fabric.backward(loss)
            norm = fabric.clip_gradients(model, optimizer, max_norm=config.clip)
            optimizer.step()
            average.update(network)

            now = time.monotonic()
            if steps is None and step + 1 - done == TIMED_STEPS:
                pace = (now - started) / TIMED_STEPS
                steps = max(step + 1, int(60 * config.minutes / pace))
            metrics: dict[str, float] = {
                "step": step + 1,
                "loss": float(torch.as_tensor(fabric.all_reduce(loss.detach()))),
                "gradient_norm": float(torch.as_tensor(norm)),
                "learning_rate": rate,
                "seconds": round(now - started, 3),
                "pace": round((now - started) / (step + 1 - done), 4),
                "waited": round(waited / (now - started), 4),
                **({} if steps is None else {"steps": steps}),
            }
            due = (step + 1) % config.validate_every == 0 or step + 1 == steps
            if due and config.validation_cases:
                metrics |= validate(average.network, held_out, stage, config)
            if fabric.is_global_zero:
                run.log(metrics)
                report(metrics)
                if step + 1 == steps or now - saved > 60 * config.checkpoint_minutes:
                    run.save(state, step + 1, steps)
                    saved = now
    return average.network


def _sources(
    config: TrainingConfig, cache: Path, skeleton: Skeleton, stage: Stage
) -> tuple[SampleSource, SampleSource]:
    """Samples to train on, and held-out ones of other cases."""
    pool = case_pool(config, cache, skeleton)
    training = SampleSource(
        pool.make, pool.folder, pool.count, skeleton, stage.draw_grid, config.seed
    )
    held_out = replace(
        training,
        make_case=simulated_cases(config.validation_seed),
        folder=cache / f"simulated-{config.validation_seed}",
        cases=config.validation_cases,
    )
    return training, held_out
