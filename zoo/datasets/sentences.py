"""Sentences of a small English grammar of ours: generated, never stored, the same everywhere.

Each is drawn from `sentence`, 3 to 12 words with its full stop or question mark; no sentence is drawn twice, so the
splits share none. Only `random.Random.random` is used, whose sequence Python promises never to change.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo.datasets import text
from zoo.datasets.specs import DatasetSpec
from zoo.datasets.text import Sentence
from zoo.datasets.text import describe as describe

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

SEED = 650
SHORTEST, LONGEST = 3, 12


def listed(words: str) -> tuple[str, ...]:
    """Words apart."""
    return tuple(words.split())


NAMES = listed(
    """
    anna ben carla david emma felix grace hugo ida jonas karin leo maria nora oscar paula quentin rosa simon tessa
    ursula victor wanda xavier yara zoe
    """
)
PEOPLE = listed(
    """
    actor artist aunt baker boy brother butcher carpenter child clerk cook cousin dancer dentist doctor driver
    engineer farmer father friend gardener girl grandmother guard guest hunter judge king lawyer librarian man mayor
    mechanic merchant mother musician neighbour nurse officer painter pilot plumber poet postman queen sailor
    scientist shepherd singer sister soldier student tailor teacher thief tourist uncle waiter woman writer
    """
)
ANIMALS = listed(
    """
    bear bird camel cat cow crow deer dog donkey duck eagle elephant fox frog goat goose hen horse lamb lion lizard
    monkey mouse owl ox parrot pig pony puppy rabbit rat rooster sheep snake spider swan tiger turtle whale wolf
    """
)
THINGS = listed(
    """
    apple ball basket bell bicycle blanket boat book bottle bowl box brush bucket button camera candle carpet chain
    clock coat coin cup curtain diary dress drum envelope feather flag fork glove guitar hammer hat helmet jacket
    kettle key knife ladder lamp letter map medal mirror necklace needle notebook orange painting pencil piano
    picture pillow pipe plate pot radio ribbon ring rope saddle scarf shirt shoe shovel spoon stick stone suitcase
    sword teapot telescope ticket towel trumpet umbrella violin wallet watch wheel whistle
    """
)
FOOD = listed(
    """
    bread butter cake cheese coffee corn fish fruit honey jam juice meat milk pie rice salad salt sandwich soup stew
    sugar tea toast wine
    """
)
PLACES = listed(
    """
    airport balcony bank barn beach bridge castle cave church cinema desert factory farm field forest garage garden
    gate hall harbour hill hospital hotel house island kitchen lake library market mountain museum office palace
    park prison river road roof room school shop square stable station street temple theatre tower valley village
    """
)
LOOKS = listed(
    """
    ancient big black blue broken brown cheap clean cracked dirty dusty empty expensive golden green grey heavy
    large little long narrow new old painted pink plain purple red round rusty shiny short silver small soft strange
    tall thick thin tiny white wooden yellow
    """
)
MOODS = listed(
    """
    angry anxious bored brave calm careful cheerful clever clumsy curious elegant famous friendly gentle greedy
    happy honest hungry jealous kind lazy lonely lucky nervous noisy patient polite poor proud quiet rich sad shy
    silent sleepy stubborn thirsty tired wise young
    """
)
STATES = listed("bright closed cold crowded dark deserted dry hot locked open quiet safe warm wet")
RESTING = listed(
    """
    coughed cried danced dreamed giggled hid jumped laughed listened marched paused prayed rested sang shivered
    slept smiled sneezed stumbled trembled waited wandered whispered worked yawned
    """
)
MOVING = listed("climbed crept galloped hurried limped ran raced rushed strolled swam walked")
HANDLING = listed(
    """
    admired borrowed bought broke carried cleaned counted dropped examined fetched found hated held kept lifted lost
    loved mended needed noticed packed polished praised pushed removed repaired returned shook sold stole studied
    took touched wanted washed watched wrapped
    """
)
MEETING = listed(
    """
    answered avoided called comforted envied feared followed forgave greeted helped ignored invited met missed
    obeyed phoned pitied recognised remembered saw surprised teased thanked trusted visited warned
    """
)
GIVING = listed("brought gave handed lent offered sent showed")
EATING = listed("ate cooked finished ordered prepared served shared smelled spilled tasted")
SAYING = listed("believed claimed forgot guessed heard hoped knew said thought")
MANNER = listed(
    """
    again badly carefully eagerly gently gladly happily loudly often patiently politely proudly quickly quietly
    rarely secretly silently slowly softly suddenly together twice
    """
)
WHEN = listed("today tonight yesterday")
PARTS_OF_DAY = listed("afternoon evening morning night weekend")
DAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
MONTHS = listed("january february march april may june july august september october november december")
WITHIN = listed("behind beside in inside near outside")
ALONG = listed("across around into past through towards")
ON = listed("above below beneath under")
OWNERS = listed("her his my our their your")
NUMBERS = listed("two three four five six seven eight nine ten eleven twelve twenty")
WEATHER = listed("fog frost hail rain snow storm sunshine thunder wind")
PLURAL = {"goose": "geese", "mouse": "mice", "ox": "oxen", "wolf": "wolves", "deer": "deer", "sheep": "sheep"}


class Grammar:
    """Draws sentences; each method is one rule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def sentence(self) -> list[str]:
        """One sentence of any length."""
        kinds = (self.acts, self.acts, self.handles, self.handles, self.meets, self.gives, self.eats, self.many)
        more = (self.many, self.is_somehow, self.asks, self.asks_where, self.says, self.weather)
        return self.pick((*kinds, *more))()

    def acts(self) -> list[str]:
        """The tired nurse slept in the garden yesterday."""
        verb = self.pick((RESTING, MOVING))
        place = self.maybe(0.6, self.within() if verb is RESTING else self.along())
        return [*self.someone(), self.pick(verb), *self.maybe(0.4, [self.pick(MANNER)]), *place, *self.when(), "."]

    def handles(self) -> list[str]:
        """My uncle repaired the rusty clock in the attic."""
        where = self.maybe(0.4, self.within())
        return [*self.person(), self.pick(HANDLING), *self.thing(), *where, *self.when(), "."]

    def meets(self) -> list[str]:
        """The queen thanked every brave soldier."""
        whom = [*self.someone(), *self.maybe(0.4, self.within())]
        return [*self.someone(), self.pick(MEETING), *whom, *self.when(), "."]

    def gives(self) -> list[str]:
        """Ida lent her cousin a small umbrella."""
        return [*self.person(), self.pick(GIVING), *self.person(), *self.thing(), *self.when(), "."]

    def eats(self) -> list[str]:
        """The cook served bread with honey."""
        first, second = self.pick(FOOD), self.pick(FOOD)
        meal = [first, self.pick(("and", "with")), second] if first != second and self.chance(0.5) else [first]
        return [*self.person(), self.pick(EATING), *meal, *self.maybe(0.5, self.within()), *self.when(), "."]

    def many(self) -> list[str]:
        """Seven wolves ran through the forest."""
        some = [*self.maybe(0.4, [self.pick(MOODS)]), plural(self.pick(ANIMALS))]
        ahead = [self.pick((*NUMBERS, "many", "some")), *some, self.pick(MOVING)]
        return [*ahead, *self.along(), *self.when(), "."]

    def is_somehow(self) -> list[str]:
        """The old bridge was deserted."""
        if self.chance(0.5):
            return [*self.someone(), "was", *self.maybe(0.4, ["very"]), self.pick(MOODS), *self.when(), "."]
        return [*self.the([self.pick(PLACES)], LOOKS), "was", self.pick(STATES), *self.when(), "."]

    def asks(self) -> list[str]:
        """Who borrowed the wooden ladder?"""
        return ["who", self.pick(HANDLING), *self.thing(), *self.maybe(0.4, self.within()), *self.when(), "?"]

    def asks_where(self) -> list[str]:
        """Where is my blue scarf?"""
        return [self.pick(("where", "why")), "was", *self.pick((self.thing, self.someone))(), *self.within(), "?"]

    def says(self) -> list[str]:
        """Hugo said that the goat ate rice."""
        claim = [*self.someone(), self.pick(self.pick((RESTING, MOVING))), *self.maybe(0.5, self.within())]
        return [*self.person(), self.pick(SAYING), "that", *claim, "."]

    def weather(self) -> list[str]:
        """The storm came over the valley in march."""
        over = [self.pick(("came", "passed", "spread")), "over", "the", self.pick(PLACES)]
        which = self.maybe(0.4, [self.pick(("cold", "first", "last"))])
        return ["the", *which, self.pick(WEATHER), *over, *self.when(), "."]

    def someone(self) -> list[str]:
        """A person or an animal."""
        return self.person() if self.chance(0.65) else self.the([self.pick(ANIMALS)], (*MOODS, *LOOKS))

    def person(self) -> list[str]:
        """A name, or somebody by what they are."""
        return [self.pick(NAMES)] if self.chance(0.3) else self.the([self.pick(PEOPLE)], MOODS)

    def thing(self) -> list[str]:
        """Something that can be held."""
        return self.the([self.pick(THINGS)], LOOKS)

    def the(self, noun: list[str], adjectives: Sequence[str]) -> list[str]:
        """A noun with an article or an owner, and perhaps an adjective."""
        words = [*self.maybe(0.45, [self.pick(adjectives)]), *noun]
        which = self.pick(("the", "the", "the", "a", "a", "this", "that", "every", self.pick(OWNERS)))
        return ["an" if which == "a" and words[0][0] in "aeiou" else which, *words]

    def within(self) -> list[str]:
        """In the old cellar; under the bridge."""
        return [self.pick((*WITHIN, *ON)), "the", self.pick(PLACES)]

    def along(self) -> list[str]:
        """Through the forest."""
        return [self.pick(ALONG), "the", *self.maybe(0.3, [self.pick(STATES)]), self.pick(PLACES)]

    def when(self) -> list[str]:
        """Often nothing."""
        on = ["on", self.pick(DAYS)]
        that = ["that", self.pick(PARTS_OF_DAY)]
        return self.maybe(0.35, self.pick(([self.pick(WHEN)], on, ["in", self.pick(MONTHS)], that)))

    def chance(self, probability: float) -> bool:
        """Whether it happens."""
        return self.random.random() < probability

    def maybe(self, probability: float, words: list[str]) -> list[str]:
        """The words, or none."""
        return words if self.chance(probability) else []

    def pick(self, choices: Sequence[T]) -> T:
        """One of them, all alike."""
        return choices[int(self.random.random() * len(choices))]


def plural(animal: str) -> str:
    """More than one of it."""
    if animal in PLURAL:
        return PLURAL[animal]
    if animal[-1] == "y" and animal[-2] not in "aeiou":
        return f"{animal[:-1]}ies"
    return f"{animal}{'es' if animal[-1] == 'x' else 's'}"


def generate(count: int, seed: int) -> list[Sentence]:
    """So many different sentences of the right length."""
    grammar, found = Grammar(seed), dict[Sentence, None]()
    while len(found) < count:
        sentence = tuple(grammar.sentence())
        if SHORTEST <= len(sentence) <= LONGEST:
            found[sentence] = None
    return list(found)


def read(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Tensor, ...]]:
    """20,000 + 1,000 + 1,000 different sentences, as `zoo.datasets.text` holds them."""
    drawn = iter(generate(sum(spec.splits.values()), SEED))
    return {name: text.pack([next(drawn) for _ in range(size)]) for name, size in spec.splits.items()}
