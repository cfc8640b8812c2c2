"""Clusters of an area: kept by digest, made again where what was kept is damaged."""

import numpy as np
import pandas as pd
import pytest

from core import cluster_steps, quadrat_table
from core.cluster_steps import ClusterOptions
from core.clusters.sweep import Range
from core.quadrat_table import QuadratTable, area_lattice
from tests.core.raster_files import new_area

QUADRATS = quadrat_table.Options()
OPTIONS = ClusterOptions(
    columns=("heat_mean", "dem_mean"), span=Range(smallest=2, largest=3), reruns=2
)


@pytest.mark.parametrize("name", ["labels.npy", "scores.parquet", "stability.parquet"])
def test_a_damaged_result_is_made_again_row_11(tmp_path, name):
    """Row 11."""
    space = new_area(tmp_path, bounds=(445_000, 4_634_000, 447_000, 4_636_000))
    area = space.area("town")
    lattice = area_lattice(space, area)
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {"heat_mean": rng.normal(size=len(lattice)), "dem_mean": rng.normal(size=len(lattice))},
        index=pd.Index(lattice.ids, name="quadrat"),
    )
    made = QuadratTable(lattice, table, table[[]], digest="0" * 16)
    given = (space, area, made, QUADRATS, OPTIONS)
    first, firm = cluster_steps.clusters(*given), cluster_steps.cluster_stability(*given)
    (path,) = (space.folder("town") / "results").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:40])
    assert cluster_steps.find_clusters(*given) is None or name == "stability.parquet"
    again, firmer = cluster_steps.clusters(*given), cluster_steps.cluster_stability(*given)
    assert np.array_equal(first.sweep.labels, again.sweep.labels)
    assert np.array_equal(firm.mean, firmer.mean)
    assert cluster_steps.find_stability(*given) is not None
