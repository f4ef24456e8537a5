"""Word lists: what the problems are made of, and so what the tokenizer spends whole tokens on."""

from __future__ import annotations

NAMES = tuple(
    "Anna Ben Carla David Emma Felix Grace Henry Iris Jack Kate Leo Maria Noah Olivia Paul Rosa Sam Tina Victor".split()
)
SHE = frozenset("Anna Carla Emma Grace Iris Kate Maria Olivia Rosa Tina".split())

THINGS = tuple(
    "apples books cards coins cookies eggs flowers lemons marbles oranges pears pencils pens plums shells stamps "
    "stickers stones tickets toys".split()
)
RARE_NAMES = tuple(
    "Ana Bob Cleo Dan Eva Fred Gina Hugo Ivan Jane Kim Lara Lily Lucy Max Mia Nina Omar Oscar Pia Sara Sue Tim Tom Zoe".split()
)
"""Names and things without tokens of their own, so that problems with words nobody listed are read as well."""
RARE_SHE = frozenset("Ana Cleo Eva Gina Jane Kim Lara Lily Lucy Mia Nina Pia Sara Sue Zoe".split())
RARE_THINGS = tuple(
    "balloons beans boats bolts bricks buttons cakes candles candies chairs cherries cups dolls feathers figs hats jars "
    "keys kites lamps maps melons nails nuts onions peaches peanuts plates posters ribbons rings roses seeds sweets".split()
)

CONTAINERS = tuple("bags boxes baskets packs".split())

SORT_WORDS = tuple(
    "ant bear bird cat cow deer dog duck fish fox frog goat hen horse lion mouse owl pig rabbit sheep snake tiger "
    "whale wolf zebra".split()
)

CITIES = tuple("Athens Berlin Cairo Delhi Geneva Lima London Madrid Oslo Paris Prague Rome Tokyo Vienna Warsaw".split())
JOBS = tuple("baker cook dentist doctor driver farmer judge nurse painter pilot singer teacher".split())
COLORS = tuple("black blue brown gray green orange pink purple red white yellow".split())

SPELL_WORDS = tuple(
    "airport animal anchor arrow autumn balloon banana basket battery beach bicycle blanket bottle bridge bucket butter "
    "button cabin camera candle canyon carpet castle chair cheese cherry circle cloud coffee copper corner cotton "
    "curtain desert diamond dinner dragon engine evening feather finger forest fountain garden ginger glass guitar "
    "hammer harbor helmet honey island jacket jungle kettle kitchen ladder lantern laptop leather letter library "
    "lizard magnet market meadow melon mirror monkey morning mountain museum napkin needle ocean office onion orchid "
    "oyster palace paper parrot pebble pepper pillow planet pocket potato puzzle rainbow ribbon river rocket saddle "
    "salmon school shadow silver sister spider spring square station summer sunset table temple thunder ticket tomato "
    "tower travel tunnel turtle umbrella valley velvet village violin walnut water weather window winter wizard "
    "wonder yogurt".split()
)

MONTHS = tuple("January February March April May June July August September October November December".split())
