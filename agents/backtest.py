"""What recorded behaviour would have earned: the whole tier model run over actions in the order of time. Pure.

Everything that decides goes through `agents.tier_model`: the fold, the alarms, the audit rates, the conditions of a
promotion. What a file cannot tell is drawn (audits, served probes) by a generator the caller seeds, or assumed and
said: every owner confirms at once, nobody vetoes within the window, every audit is done in time.

Reviewers catch errors at `catch_rate`. Probes are served at the model's rates and caught at the same rate, so that the
corrected bound is the one that decides, as it does in operation; nobody is promoted on approvals that prove nothing."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from random import Random

from agents import tier_model
from agents.tier_model import Event, Incident, Probe, Review, Second, State, Thresholds, Turn

IN, (ON, OUT) = "in_the_loop", tier_model.TARGETS
TIERS = (IN, ON, OUT)
NEXT = {IN: ON, ON: OUT}
WRONG = 0.5
"""From this loss on an action is called wrong: a substantial edit, a material one, a rejection."""
MOST_STAGES = 6
MOST_STATES = 120
MOST_REFERENCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One recorded action. `loss` is what is known of it, None where nobody judged it; `probability` the chance with
    which it came to be judged, at `judged_at` (None: at once). `unsampled`: what is known was found by other ways than
    a draw (an incident). `missed`: an audit nobody did in time, which counts as a loss and tells nothing. `counts`:
    False where a rule had it reviewed, whatever the tier."""

    at: datetime
    number: int
    loss: float | None
    critical: bool = False
    reviewer: int | None = None
    judged_at: datetime | None = None
    probability: float = 1.0
    reversible: bool = True
    unsampled: bool = False
    missed: bool = False
    counts: bool = True
    amount: Decimal | None = None
    currency: str = ""
    reference: str = ""

    @property
    def is_wrong(self) -> bool:
        return self.loss is not None and self.loss >= WRONG and not self.missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What was recorded beside the actions: a served probe (caught or not) or a blind second review (agreed or not)."""

    at: datetime
    is_probe: bool
    good: bool
    reviewer: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """By what the model judges. `catch_rate` None: nothing is drawn for reviewers, the recorded probes are all.
    `anonymous`: no line says who judged, so all of them count as one person's."""

    thresholds: Thresholds
    ceiling: str = OUT
    can_be_critical: bool = False
    catch_rate: float | None = 1.0
    anonymous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A tier won or lost, after action `number`, with what decided it (`cause`: evidence, detector, critical)."""

    at: datetime
    number: int
    before: str
    after: str
    cause: str
    attempt: int
    reviews: int
    losses: float
    have: float
    need: float
    probes: tuple[int, int]

    @property
    def words(self) -> str:
        """Why, with the numbers that decided it."""
        seen = f"{self.reviews:,} reviews, errors of {self.losses:g} in all"
        if self.cause == "evidence":
            caught, missed = self.probes
            return (
                f"{seen}, {caught} of {caught + missed} probes caught: evidence of {self.have:.2f} "
                f"where attempt {self.attempt} needs {self.need:.2f}"
            )
        if self.cause == "critical":
            return f"a critical error ({seen})"
        return f"{seen}: the detector stood at {self.have:,.0f}, the alarm is at {self.need:,.0f}"


@dataclass(slots=True)
class Stage:
    """One stretch between two changes: its states where something changed that can be seen in a drawing."""

    states: list[State]


@dataclass(slots=True)
class Money:
    """What ran unreviewed in one currency, and what of it was wrong."""

    total: Decimal = Decimal(0)
    wrong: Decimal = Decimal(0)


@dataclass(slots=True)
class Course:
    """What one run came to. `reviews` are those beforehand, `unreviewed` what ran without one (audited or not);
    `unjudged` of these are known to nobody, `estimated` is the Horvitz–Thompson estimate of the wrong ones among all.
    `unknown` counts what the model would have had reviewed and no record tells how that would have ended."""

    tier: str = IN
    changes: list[Change] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    actions: int = 0
    reviews: int = 0
    audits: int = 0
    probes: int = 0
    unreviewed: int = 0
    wrong: int = 0
    unjudged: int = 0
    estimated: float = 0.0
    unknown: int = 0
    slipped: int = 0
    held: int = 0
    money: dict[str, Money] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    ended: tuple[State, datetime] | None = None

    def first(self, tier: str) -> Change | None:
        return next((change for change in self.changes if change.after == tier), None)

    @property
    def demotions(self) -> int:
        return sum(change.cause != "evidence" for change in self.changes)


def run(
    actions: Sequence[Action], rules: Rules, draw: Random, *, beside: Iterable[Beside] = ()
) -> Generator[int, None, Course]:
    """Run and yield how many actions are done, now and then; the course is the generator's return value."""
    desk = _Desk(actions[0].at, rules, draw, list(beside)) if actions else None
    for done, action in enumerate(actions, 1):
        assert desk is not None
        desk.take(action)
        if done % 500 == 0:
            yield done
    return desk.end() if desk else Course()


def course(actions: Sequence[Action], rules: Rules, draw: Random, *, beside: Iterable[Beside] = ()) -> Course:
    """`run` without a look at how far it is."""
    going = run(actions, rules, draw, beside=beside)
    while True:
        try:
            next(going)
        except StopIteration as ended:
            result: Course = ended.value
            return result


class _Desk:
    """The state between two actions: what has counted, and what waits until it has matured."""

    def __init__(self, at: datetime, rules: Rules, draw: Random, beside: list[Beside]) -> None:
        self.rules, self.draw = rules, draw
        self.state = tier_model.start(tier=IN, thresholds=rules.thresholds, at=at)
        self.course = Course()
        self.beside = sorted(beside, key=lambda one: one.at, reverse=True)
        self.waiting: list[tuple[datetime, int, Event]] = []
        self.latest = self.counted_at = at
        self.number = self.ids = 0
        self._begin_stage()

    # ── One action ────────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, action: Action) -> None:
        """Let everything count that has by now, then route the action as the model says at this moment."""
        self._until(action.at)
        self.number = action.number
        self.course.actions += 1
        if not action.counts:
            self.course.reviews += 1
        elif self.state.tier == IN:
            self._before(action)
        elif not action.reversible and tier_model.is_escalated(self.state):
            self.course.reviews += 1
            self.course.held += 1
        else:
            self._unreviewed(action)

    def _before(self, action: Action) -> None:
        if action.unsampled:
            self.course.reviews += 1
            self._incident(action)
            return
        if action.loss is None or action.missed:
            self.course.unknown += 1
            return
        self.course.reviews += 1
        self._review(action, audit=False)
        self._serve(self.state.thresholds.probe_in, action)

    def _unreviewed(self, action: Action) -> None:
        course = self.course
        course.unreviewed += 1
        self._cost(action)
        if action.unsampled:
            self._incident(action)
            return
        rate = tier_model.audit_rate(self.state)
        course.unjudged += action.loss is None or action.missed
        if action.loss is None:
            course.unknown += action.probability < rate
            return
        if self.draw.random() * action.probability < rate:
            course.audits += 1
            self._review(action, audit=True)
            self._serve(self.state.thresholds.probe_audit, action)

    def _cost(self, action: Action) -> None:
        course = self.course
        if action.is_wrong:
            course.wrong += 1
            course.estimated += 1 if action.unsampled else 1 / action.probability
            if action.reference and len(course.references) < MOST_REFERENCES:
                course.references.append(action.reference)
        if action.amount is not None:
            money = course.money.setdefault(action.currency, Money())
            money.total += abs(action.amount)
            if action.is_wrong:
                money.wrong += abs(action.amount)

    def _review(self, action: Action, *, audit: bool) -> None:
        """What the reviewer says: the truth, unless it is an error that slips through. Counts at once or matures."""
        assert action.loss is not None
        loss, critical = action.loss, action.critical
        rate = self.rules.catch_rate
        if (loss or critical) and rate is not None and rate < 1 and self.draw.random() >= rate:
            loss, critical = 0.0, False
            self.course.slipped += not audit
        self.ids += 1
        judged_at = max(action.judged_at or action.at, action.at)
        at = tier_model.counts_at(self.state, loss=loss, critical=critical, audit=audit, judged_at=judged_at)
        event = Review(
            id=self.ids,
            at=at,
            period=self.state.period,
            loss=loss,
            critical=critical,
            reviewer=0 if self.rules.anonymous else action.reviewer,
            audit=audit,
            missed=audit and action.missed,
        )
        if at <= action.at:
            self._count(event)
        else:
            heappush(self.waiting, (at, self.ids, event))

    def _incident(self, action: Action) -> None:
        if action.loss is None:
            return
        self.ids += 1
        self._count(
            Incident(
                id=self.ids,
                at=action.at,
                period=self.state.period,
                loss=action.loss,
                critical=action.critical,
            )
        )

    def _serve(self, rate: float, action: Action) -> None:
        """A probe among the reviews, caught as often as real errors are."""
        catch_rate = self.rules.catch_rate
        if catch_rate is None or self.draw.random() >= rate:
            return
        self.course.probes += 1
        self._probe(action.at, self.draw.random() < catch_rate, action.reviewer)

    def _probe(self, at: datetime, caught: bool, reviewer: int | None) -> None:
        self.ids += 1
        self._count(Probe(id=self.ids, at=at, period=self.state.period, caught=caught, reviewer=reviewer))

    # ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _until(self, at: datetime) -> None:
        """Everything that counts up to `at`, in its order; then whatever time alone has brought."""
        while True:
            next_at = self.waiting[0][0] if self.waiting else None
            if self.beside and self.beside[-1].at <= at and (next_at is None or self.beside[-1].at < next_at):
                self._take_beside(self.beside.pop())
            elif next_at is not None and next_at <= at:
                _, _, event = heappop(self.waiting)
                self._count(event)
            else:
                break
        self.latest = max(self.latest, at)
        self._judge(at)

    def _take_beside(self, one: Beside) -> None:
        if one.is_probe:
            self.course.probes += 1
            self._probe(one.at, one.good, one.reviewer)
        else:
            self.ids += 1
            self._count(Second(id=self.ids, at=one.at, period=self.state.period, agreed=one.good))

    def _count(self, event: Event) -> None:
        before = self.state
        self.state = tier_model.step(before, event)
        self.counted_at = self.latest = max(self.latest, event.at)
        self._keep(before)
        self._judge(event.at)

    def _judge(self, now: datetime) -> None:
        """Down where the model says so, up where everything is met; as the clock would have done by `now`."""
        state = self.state
        if state.tier in tier_model.TARGETS and tier_model.is_alarmed(state):
            cause = "critical" if state.critical[1] else "detector"
            self._turn(IN, now, cause, tier_model.level(state), tier_model.alarm_at(state))
            return
        target = NEXT.get(state.tier)
        if target is None or TIERS.index(target) > TIERS.index(self.rules.ceiling):
            return
        if tier_model.may_promote(state, target, now=now, can_be_critical=self.rules.can_be_critical):
            # Between two events only the cool-down can have ended.
            cooled = state.since + timedelta(days=state.thresholds.cool_down_days)
            have, need = tier_model.evidence(state, target), tier_model.bar(state, target)
            self._turn(target, min(now, max(self.counted_at, cooled)), "evidence", have, need)

    def _turn(self, tier: str, at: datetime, cause: str, have: float, need: float) -> None:
        state = self.state
        place = 0 if state.tier == IN else 1
        self.course.changes.append(
            Change(
                at=at,
                number=self.number,
                before=state.tier,
                after=tier,
                cause=cause,
                attempt=state.attempts[place],
                reviews=state.reviews,
                losses=losses(state),
                have=have,
                need=need,
                probes=state.probes,
            )
        )
        self.stage.states.append(state)
        self.ids += 1
        self.state = tier_model.step(
            state,
            Turn(
                id=self.ids,
                at=at,
                period=state.period + 1,
                tier=tier,
                attempts=tier_model.attempts_after(state, tier),
                fresh=True,
                thresholds=state.thresholds,
            ),
        )
        self._begin_stage()

    # ── What is kept for people ───────────────────────────────────────────────────────────────────────────────────────

    def _begin_stage(self) -> None:
        """Only the first stages are kept: an agent that rises and falls a hundred times is no longer read by them."""
        self.stage = Stage([self.state])
        if len(self.course.stages) < MOST_STAGES:
            self.course.stages.append(self.stage)

    def _keep(self, before: State) -> None:
        """The state before an error and after it; once there are too many, every other one goes."""
        states = self.stage.states
        if self.state.counts[1:] != before.counts[1:]:
            states.append(self.state)
            if len(states) > MOST_STATES:
                del states[1::2]

    def end(self) -> Course:
        """Let everything mature that waits."""
        self._until(max([self.latest, *(at for at, _, _ in self.waiting)]))
        self.stage.states.append(self.state)
        self.course.tier = self.state.tier
        self.course.ended = (self.state, self.latest)
        return self.course


def lacking(course: Course, rules: Rules) -> list[str]:
    """What the next tier still lacked at the end, in words; nothing where there is none, or the ceiling forbids it."""
    if course.ended is None:
        return []
    state, at = course.ended
    target = NEXT.get(state.tier)
    if target is None or TIERS.index(target) > TIERS.index(rules.ceiling):
        return []
    found = tier_model.hurdles(state, target, now=at, can_be_critical=rules.can_be_critical)
    return [hurdle.words for hurdle in found if not hurdle.met]


def losses(state: State) -> float:
    """The summed losses of a period."""
    return round(sum(loss * count for loss, count in zip(tier_model.LEVELS, state.counts, strict=True)), 2)
