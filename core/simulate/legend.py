"""Codes of the simulated rasters: land cover as in the legend of Chicago, land use of our own."""

from enum import IntEnum

from core.legends import Legend, LegendClass
from core.simulate.sketch import Way
from core.text import N_


class Cover(IntEnum):
    """Land cover, the codes of `core.legends.CHICAGO_LAND_COVER`."""

    BACKGROUND = 0
    TREE = 1
    GRASS = 2
    BARE = 3
    WATER = 4
    BUILDING = 5
    ROAD = 6
    PAVED = 7


class Use(IntEnum):
    """Land use, numbered in tens by group."""

    NONE = 0
    HOUSES = 11
    FLATS = 12
    MIXED = 13
    SHOPS = 21
    CENTRE = 22
    INDUSTRY = 31
    SCHOOL = 41
    CAMPUS = 42
    CEMETERY = 43
    PARK = 51
    NATURE = 52
    STREET = 61
    RAIL = 62
    EXPRESSWAY = 63
    AIRPORT = 64
    PARKING = 65
    VACANT = 71
    WATER = 81


class Build(IntEnum):
    """What a building is."""

    HOUSE = 0
    GARAGE = 1
    FLATS = 2
    SHOP = 3
    TOWER = 4
    MALL = 5
    SHED = 6
    SCHOOL = 7
    HALL = 8
    TERMINAL = 9
    PAVILION = 10


# Hue tells the group, lightness the member. Any two differ by at least 15 in CIE L*a*b*, also as
# seen with each of the three kinds of colour blindness.
LAND_USE: Legend = tuple(
    LegendClass(int(code), name, colour)
    for code, name, colour in (
        (Use.NONE, N_("Not drawn"), ""),
        (Use.HOUSES, N_("Houses"), "#F7E3A1"),
        (Use.FLATS, N_("Apartment houses"), "#E8B64A"),
        (Use.MIXED, N_("Shops with homes above"), "#C9752B"),
        (Use.SHOPS, N_("Shops and services"), "#B2182B"),
        (Use.CENTRE, N_("Offices and city centre"), "#670021"),
        (Use.INDUSTRY, N_("Industry and warehouses"), "#7E72DA"),
        (Use.SCHOOL, N_("Schools"), "#91B7FD"),
        (Use.CAMPUS, N_("Campuses and hospitals"), "#39529B"),
        (Use.CEMETERY, N_("Cemeteries"), "#9BC695"),
        (Use.PARK, N_("Parks"), "#5FC366"),
        (Use.NATURE, N_("Woods and wetlands"), "#056D35"),
        (Use.STREET, N_("Streets and alleys"), "#F2F2F2"),
        (Use.RAIL, N_("Railways"), "#525252"),
        (Use.EXPRESSWAY, N_("Expressways"), "#8C8E8A"),
        (Use.AIRPORT, N_("Airports"), "#D9B0DE"),
        (Use.PARKING, N_("Parking"), "#BDBDBD"),
        (Use.VACANT, N_("Vacant land"), "#AC7C62"),
        (Use.WATER, N_("Water"), "#4393C3"),
    )
)

# What a way is in both rasters; the pairs without a class are not painted there.
WAY_CLASSES: dict[Way, tuple[Cover, Use]] = {
    Way.BEACH: (Cover.BARE, Use.PARK),
    Way.BANK: (Cover.GRASS, Use.NONE),
    Way.RIVER: (Cover.WATER, Use.WATER),
    Way.STREET: (Cover.ROAD, Use.STREET),
    Way.RUNWAY: (Cover.PAVED, Use.AIRPORT),
    Way.RAIL_VERGE: (Cover.GRASS, Use.RAIL),
    Way.RAIL: (Cover.ROAD, Use.RAIL),
    Way.EXPRESSWAY_VERGE: (Cover.GRASS, Use.EXPRESSWAY),
    Way.EXPRESSWAY: (Cover.ROAD, Use.EXPRESSWAY),
    Way.BRIDGE: (Cover.ROAD, Use.STREET),
}
