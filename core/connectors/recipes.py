"""Which layers can be fetched for any place, from where, and what they mean.

The recipes are data: adding a layer that lies in a STAC API is an entry here.
"""

from dataclasses import dataclass
from typing import Literal

from core.errors import InputError
from core.legends import PRESETS, Legend
from core.text import N_
from core.workspace import Kind, Role, Season

How = Literal["newest", "median", "months", "tiles"]
"""`newest`: the newest image of each place, put together. `median`: of a season's clear images.
`months`: the median of a year's monthly rasters. `tiles`: zip archives of fixed squares."""

KELVIN = 273.15
NIGHT_LIGHTS_URL = (
    "https://globalnightlight.s3.amazonaws.com/composites/npp_{year}{month:02}_ops/"
    "DNB_npp_{year}{month:02}01-{year}{month:02}{days}_global_ecm-slcorr_v10_ops.avg_rade9.tif"
)
BUILT_HEIGHT_URL = (
    "https://jeodpp.jrc.ec.europa.eu/ftp/jrc-opendata/GHSL/GHS_BUILT_H_GLOBE_R2023A/"
    "GHS_BUILT_H_ANBH_E2018_GLOBE_R2023A_54009_100/V1-0/tiles/"
    "GHS_BUILT_H_ANBH_E2018_GLOBE_R2023A_54009_100_V1_0_R{row}_C{column}.zip"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one layer is made of data that others publish."""

    id: str
    title: str
    about: str
    layer_id: str
    kind: Kind
    how: How
    collection: str = ""
    """Of the STAC API, or the publisher's name of the data set."""
    asset: str = ""
    mask_asset: str = ""
    mask_bits: tuple[int, ...] = ()
    """Bits of the mask that must not be set."""
    url: str = ""
    """Pattern of addresses, where the data are in no STAC API."""
    role: Role = "cause"
    season: Season | None = None
    unit: str = ""
    colormap: str = "viridis"
    preset: str = ""
    """Key of `legends.PRESETS`."""
    nodata: float | None = None
    """Value of missing pixels, where the file names none."""
    scale: float = 1.0
    offset: float = 0.0
    """Value = pixel · scale + offset."""
    above: float | None = None
    """Only values above this one are readings."""
    most_scenes: int = 12
    """Of a median."""
    resolution_m: float
    licence: str
    provider: str
    homepage: str
    region: str = N_("Everywhere")
    year: int | None = None
    """Of data that were made once, or the last year known to be there."""

    @property
    def legend(self) -> Legend:
        return PRESETS[self.preset][1] if self.preset else ()


def _landsat(season: Season, title: str) -> Recipe:
    return Recipe(
        id=f"lst-{season}",
        title=title,
        about=N_(
            "Median of the season's images by Landsat 8 and 9, clouds and their shadows left out."
        ),
        layer_id=f"lst-{season}",
        kind="values",
        how="median",
        collection="landsat-c2-l2",
        asset="lwir11",
        mask_asset="qa_pixel",
        # Fill, dilated cloud, cirrus, cloud, cloud shadow: Landsat 8-9 Collection 2 Level 2
        # Science Product Guide, table of QA_PIXEL. Snow (5) is a surface like any other.
        mask_bits=(0, 1, 2, 3, 4),
        role="effect",
        season=season,
        unit="°C",
        colormap="inferno",
        nodata=0,
        scale=0.00341802,
        offset=149.0 - KELVIN,
        resolution_m=30,
        licence=N_("Public domain"),
        provider="USGS, NASA",
        homepage="https://www.usgs.gov/landsat-missions/landsat-collection-2-level-2-science-products",
    )


def _modis(season: Season, title: str) -> Recipe:
    return Recipe(
        id=f"lst-modis-{season}",
        title=title,
        about=N_("Median of the season's daily images by MODIS: coarse, but many clear days."),
        layer_id=f"lst-modis-{season}",
        kind="values",
        how="median",
        collection="modis-11A1-061",
        asset="LST_Day_1km",
        role="effect",
        season=season,
        unit="°C",
        colormap="inferno",
        nodata=0,
        scale=0.02,
        offset=-KELVIN,
        most_scenes=60,  # each is small, and most days are cloudy somewhere
        resolution_m=1000,
        licence=N_("Free to use, with credit to NASA LP DAAC"),
        provider="NASA",
        homepage="https://lpdaac.usgs.gov/products/mod11a1v061/",
    )


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        id="landcover",
        title=N_("Land cover, 10 m"),
        about=N_("Nine classes a year, from Sentinel-2, by Impact Observatory and Esri."),
        layer_id="landcover",
        kind="classes",
        how="newest",
        collection="io-lulc-annual-v02",
        asset="data",
        preset="io-lulc",
        nodata=0,
        resolution_m=10,
        licence="CC BY 4.0",
        provider="Esri, Impact Observatory",
        homepage="https://planetarycomputer.microsoft.com/dataset/io-lulc-annual-v02",
    ),
    Recipe(
        id="landcover-esa",
        title=N_("Land cover, 10 m (ESA WorldCover)"),
        about=N_("Eleven classes of 2020 or 2021, from Sentinel-1 and Sentinel-2, by ESA."),
        layer_id="landcover-esa",
        kind="classes",
        how="newest",
        collection="esa-worldcover",
        asset="map",
        preset="esa-worldcover",
        nodata=0,
        resolution_m=10,
        licence="CC BY 4.0",
        provider="ESA",
        homepage="https://esa-worldcover.org",
    ),
    Recipe(
        id="dem",
        title=N_("Height of the surface"),
        about=N_("Copernicus GLO-30: heights of about 2011 to 2015, roofs and trees included."),
        layer_id="dem",
        kind="values",
        how="newest",
        collection="cop-dem-glo-30",
        asset="data",
        unit="m",
        resolution_m=30,
        licence=N_("Free to use; © DLR e.V. and Airbus, provided under Copernicus by EU and ESA"),
        provider="ESA, Airbus",
        homepage="https://dataspace.copernicus.eu/explore-data/data-collections/copernicus-contributing-missions/collections-description/COP-DEM",
    ),
    Recipe(
        id="dem-us",
        title=N_("Height of the ground, United States"),
        about=N_("3DEP: the bare ground, from lidar, roofs and trees taken off."),
        layer_id="dem-us",
        kind="values",
        how="newest",
        collection="3dep-seamless",
        asset="data",
        unit="m",
        resolution_m=10,
        licence=N_("Public domain"),
        provider="USGS",
        homepage="https://www.usgs.gov/3d-elevation-program",
        region=N_("United States"),
    ),
    _landsat("summer", N_("Surface temperature in summer")),
    _landsat("winter", N_("Surface temperature in winter")),
    _modis("summer", N_("Surface temperature in summer, 1 km")),
    _modis("winter", N_("Surface temperature in winter, 1 km")),
    Recipe(
        id="nightlights",
        title=N_("Night lights"),
        about=N_("Median of a year's monthly composites of VIIRS, stray light corrected."),
        layer_id="nightlights",
        kind="values",
        how="months",
        collection="World Bank Light Every Night",
        url=NIGHT_LIGHTS_URL,
        role="effect",
        unit="nW/cm²/sr",
        colormap="inferno",
        above=-1.0,  # -1.5 and -999.3 say that nothing was seen
        resolution_m=460,
        licence="CC BY 4.0",
        provider="World Bank, NOAA, University of Michigan",
        homepage="https://registry.opendata.aws/wb-light-every-night/",
        year=2023,
    ),
    Recipe(
        id="height",
        title=N_("Height of buildings, 100 m"),
        about=N_("GHS-BUILT-H: mean height of the buildings in each hectare in 2018, by the JRC."),
        layer_id="height",
        kind="values",
        how="tiles",
        collection="GHS-BUILT-H R2023A",
        url=BUILT_HEIGHT_URL,
        unit="m",
        colormap="cividis",
        nodata=255,
        resolution_m=100,
        licence="CC BY 4.0",
        provider="European Commission, Joint Research Centre",
        homepage="https://human-settlement.emergency.copernicus.eu/ghs_buH2023.php",
        year=2018,
    ),
    Recipe(
        id="height-us",
        title=N_("Height above the ground, 2 m, United States"),
        about=N_("3DEP lidar: height of buildings and trees above the ground beneath them."),
        layer_id="height-us",
        kind="values",
        how="newest",
        collection="3dep-lidar-hag",
        asset="data",
        unit="m",
        colormap="cividis",
        resolution_m=2,
        licence=N_("Public domain"),
        provider="USGS",
        homepage="https://www.usgs.gov/3d-elevation-program",
        region=N_("United States"),
    ),
)
USUAL = ("landcover", "dem", "lst-summer", "lst-winter", "nightlights", "height")
"""What an analysis of a place needs, for anywhere."""


def layer_recipes() -> tuple[Recipe, ...]:
    """Return every layer that can be fetched, in the order in which they are offered."""
    return RECIPES


def recipe(recipe_id: str) -> Recipe:
    """Return one recipe.

    Raises:
        InputError: There is none of that name.
    """
    for known in RECIPES:
        if known.id == recipe_id:
            return known
    raise InputError(
        N_("There is no layer {name!r} to fetch."),
        hint=N_("There are: {known}."),
        name=recipe_id[:40],
        known=", ".join(known.id for known in RECIPES),
    )
