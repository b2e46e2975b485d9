"""--cluster: the crew of a campaign that fuzzes on other hosts, see tools/cluster.

Dask and fsspec are an extra and take a second to load, so they are imported only when asked for.
"""

from __future__ import annotations

from typing import Final

from tools.campaign.layout import Layout
from tools.campaign.records.totals import Totals
from tools.campaign.settings import CampaignError, Settings
from tools.campaign.supervise.crew import CrewMaker, Room
from tools.campaign.supervise.slot import Timing
from tools.campaign.views.snapshot import Tell

FOLDER: Final = "share"  # in the campaign's directory: for a cluster on this machine
INSTALL: Final = "pip install 'gmemdiff[cluster]'"


def cluster_crew(
    layout: Layout,
    settings: Settings,
    address: str,
    location: str | None,
    jobs: int | None,
    time_max: float | None,
) -> CrewMaker:
    """Connect to a scheduler and to a location; the crew is made when the session starts.

    Raises CampaignError: without the extra, a scheduler, or a location.
    """
    try:
        from tools.cluster.crew import ClusterCrew, Plan
        from tools.cluster.dask_engine import Dask
        from tools.cluster.home import Home
        from tools.cluster.share import Share
    except ModuleNotFoundError as error:
        raise CampaignError(f"--cluster needs {error.name}; install it with: {INSTALL}") from error
    share = Share(location or (layout.root.absolute() / FOLDER).as_uri())
    home = Home(share, layout)
    home.claim(settings)
    engine, plan = Dask(address), Plan(jobs=jobs, time_max=time_max)

    def make(
        layout: Layout,
        settings: Settings,
        totals: Totals,
        timing: Timing,
        tell: Tell,
        room: Room,  # of this machine's disk, which is not the one that slices write to
    ) -> ClusterCrew:
        return ClusterCrew(engine, home, plan, layout, settings, totals, timing, tell)

    return make
