"""Train a peer on an experiment's training cases, and write its row."""

from __future__ import annotations

import argparse
from pathlib import Path

from studies.peers import landmarker_peer, monai_peer
from studies.peers.common import minutes_of_land, predict_peer, run_peer

PEERS = {"landmarker": landmarker_peer.PEER, "monai": monai_peer.PEER}


def main() -> None:
    """Train and predict, or predict once more."""
    parser = argparse.ArgumentParser(prog="python -m studies.peers", description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path, metavar="RUN_DIR", help="of fetusmap experiment")
    parser.add_argument("--minutes", type=float, help="of training; those of Land-R4 unless given")
    parser.add_argument("--seed", type=int, default=2019)
    parser.add_argument(
        "--predict-only", action="store_true", help="with what an earlier training has learned"
    )
    arguments = parser.parse_args()
    peer = PEERS[arguments.peer]
    if arguments.predict_only:
        predict_peer(peer, arguments.folder, arguments.seed)
    else:
        minutes = arguments.minutes or minutes_of_land(arguments.folder)
        run_peer(peer, arguments.folder, minutes, arguments.seed)


if __name__ == "__main__":
    main()
