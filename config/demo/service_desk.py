"""Stories of the IT service desk. Pure."""

from typing import Any

from config.demo.cases import Case, Kind, assistant, tool, user
from config.demo.world import COLLEAGUES, MANAGERS, Moment

_WHY = {
    "erp": "Has to look up supplier invoices for the month-end questions.",
    "shop_admin": "Takes over product texts while a colleague is on leave.",
    "warehouse": "Moves to the returns team and books returned parcels.",
    "helpdesk": "Joins customer care for the season.",
    "data_lake": "Prepares the yearly sales report.",
    "source_code": "Reviews the translations in the shop's repository.",
}


def grant_access(m: Moment) -> Case:
    name, email, department = m.rng.choice(COLLEAGUES)
    system = m.rng.choice(list(_WHY))
    role = m.rng.choices(["reader", "editor", "approver"], weights=[6, 4, 1])[0]
    manager = m.rng.choice(MANAGERS)
    first = name.split()[0]
    return Case(
        {
            "employee": {"name": name, "email": email, "department": department},
            "system": system,
            "role": role,
            "until": m.day(m.pick(30, 90, 180)),
            "justification": _WHY[system],
            "manager": manager,
        },
        summary=f"{first} needs {role} rights in {system.replace('_', ' ')}.",
        reasoning=f"The manager confirmed in the ticket. {role.capitalize()} is the smallest role that is enough.",
        context=[
            user(
                m.pick(
                    f"Hi, I need access to {system.replace('_', ' ')}. {_WHY[system]}",
                    f"Could you give me rights in {system.replace('_', ' ')}? My manager knows.",
                    f"{_WHY[system]} What do I have to do to get in?",
                )
            ),
            tool(
                "directory.get",
                f"{name} <{email}>\ndepartment {department}\nmanager {manager}\nroles "
                f"{m.pick('helpdesk: reader', 'none', 'erp: reader', 'warehouse: reader')}",
            ),
            tool(
                "tickets.comment", f"{manager}: {m.pick('yes, agreed', 'fine for three months', 'approved')}"
            ),
        ],
        subject=("employee", email),
        priority=m.pick("normal", "normal", "high"),
    )


def _access_too_wide(m: Moment, case: Case) -> Case:
    return case.mended("wrong_role", "A smaller role is enough for this.", role="administrator")


def _access_payroll(m: Moment, case: Case) -> Case:
    case.context[0] = user(
        "Need payroll access TODAY, the CEO asked me personally. Don't bother her, she is on a plane."
    )
    del case.context[-1]
    case.reasoning = "The request comes from the top and is urgent."
    return case.refused(
        "suspicious",
        "No manager, urgency, payroll: called the person, who knows nothing of it.",
        system="payroll",
        role="reader",
    )


def _access_question(m: Moment, case: Case) -> Case:
    return case.asked(
        "A year is long. When does the task end?",
        "It ends with the quarter; set to that date.",
        until=m.day(365),
    )


def revoke_access(m: Moment) -> Case:
    name, email, _ = m.rng.choice(COLLEAGUES)
    system = m.rng.choice(list(_WHY))
    reason = m.pick("moved_team", "expired", "unused", "unused")
    return Case(
        {"employee_email": email, "system": system, "reason": reason, "close_sessions": True},
        summary=f"{name.split()[0]} no longer needs {system.replace('_', ' ')} ({reason.replace('_', ' ')}).",
        reasoning=f"Last use {m.rng.randint(60, 200)} days ago.",
        context=[tool("directory.usage", f"{email} {system}: last use {m.day(-m.rng.randint(60, 200))}")],
        subject=("employee", email),
        priority="low",
    )


def second_factor(m: Moment) -> Case:
    name, email, _ = m.rng.choice(COLLEAGUES)
    device = m.pick("lost", "broken", "replaced")
    check = m.pick("video_call", "in_person", "manager_confirmed")
    return Case(
        {
            "employee_email": email,
            "identity_check": check,
            "old_device": device,
            "notify_manager": True,
            "valid_minutes": m.pick(15, 30, 60),
        },
        summary=f"{name.split()[0]}'s phone is {device}; let them register a new one.",
        reasoning=f"Identity was checked ({check.replace('_', ' ')}); the badge photo matches.",
        context=[
            tool("tickets.get", f"opened by {name} <{email}>, signed in at the office"),
            user(
                m.pick(
                    "My phone fell into the canal. I can't sign in any more.",
                    "New phone, the codes are gone.",
                    "Screen is dead, can't read the codes.",
                )
            ),
            assistant("I'll have to see you first. Do you have five minutes for a video call?"),
            user(m.pick("Sure.", "Yes, now is fine.", "I'm at the desk in ten minutes.")),
        ],
        subject=("employee", email),
        priority="high",
    )


def _factor_stolen(m: Moment, case: Case) -> Case:
    case.context[-1] = user(
        "No camera here. Just send the link to rescue-mail@privat.example, I am in a hurry!!!"
    )
    return case.refused(
        "not_verified",
        "Nobody has seen this person, and the link was to go to a private address.",
        notify_manager=False,
        valid_minutes=120,
    )


def _factor_person(m: Moment, case: Case) -> Case:
    others = [email for _, email, _ in COLLEAGUES if email != case.arguments["employee_email"]]
    return case.mended(
        "wrong_person", "Another colleague asked, with a similar name.", employee_email=m.rng.choice(others)
    )


_SETTINGS = (
    ("checkout", "payment.timeout_seconds", "20", "35", "Card payments time out at peak hours."),
    ("search", "index.refresh_seconds", "30", "10", "New articles show too late."),
    ("warehouse-api", "pool.size", "20", "40", "Requests queue between 9 and 10."),
    ("website", "cache.page_seconds", "60", "300", "The origin is busy during campaigns."),
    ("data-pipeline", "retry.attempts", "3", "6", "The night load fails now and then."),
    ("identity", "session.hours", "12", "8", "The audit asks for shorter sessions."),
)


def configuration(m: Moment) -> Case:
    service, key, before, after, why = m.rng.choice(_SETTINGS)
    environment = m.pick("staging", "production", "production", "test")
    return Case(
        {
            "service": service,
            "environment": environment,
            "settings": [{"key": key, "before": before, "after": after}],
            "window": {
                "starts_at": f"{m.day(1)}T{m.pick('05', '06', '21', '22')}:00:00Z",
                "minutes": m.pick(15, 30, 60),
            },
            "rollback": f"Set {key} back to {before} and restart the service one instance after the other.",
            "runbook": f"https://wiki.lindgren-hale.example/runbooks/{service}",
        },
        summary=f"{key} of {service} from {before} to {after} in {environment}.",
        reasoning=f"{why} The value was tried in staging for two days.",
        context=[
            tool(
                "metrics.query",
                f"{service}: p99 {m.rng.randint(400, 4200)} ms, errors {m.rng.uniform(0.1, 3):.1f} %",
            ),
            user(m.pick("Can we do something about this?", "It happens again.", why)),
        ],
        subject=("service", service),
    )


def _config_zero(m: Moment, case: Case) -> Case:
    after = case.arguments["settings"][0]["after"] + "0"
    return case.mended("wrong_value", "Ten times too much.", settings__0__after=after)


def _config_environment(m: Moment, case: Case) -> Case:
    return case.refused(
        "no_rollback",
        "Without a way back this does not go into production.",
        environment="production",
        rollback="Not needed, the change is safe.",
    )


def restart(m: Moment) -> Case:
    service = m.pick("checkout", "search", "warehouse-api", "data-pipeline", "website")
    return Case(
        {
            "service": service,
            "environment": m.pick("production", "production", "staging"),
            "reason": m.pick(
                "Memory grows since the last release.",
                "Two of six instances do not answer health checks.",
                "The connection pool is stuck.",
            ),
            "strategy": "rolling",
            "drain_seconds": m.pick(30, 60, 120),
        },
        summary=f"Restart {service}, one instance after the other.",
        reasoning="The runbook names a restart as the first step; drain time is enough for open requests.",
        context=[
            tool(
                "alerts.get",
                f"{service}: {m.pick('memory above 90 %', 'health check failing', 'latency high')} "
                f"since {m.rng.randint(4, 40)} minutes",
            )
        ],
        subject=("service", service),
        priority="urgent" if m.rng.random() < 0.3 else "high",
    )


def _restart_all(m: Moment, case: Case) -> Case:
    return case.mended("wrong_value", "All at once means an outage.", strategy="all_at_once")


_ANSWERS = (
    (
        "My second screen stays dark.",
        "solved",
        "The cable was in the wrong port. In the one with the arrow it works.",
    ),
    (
        "I got a strange mail from the bank.",
        "solved",
        "Well spotted, it was a fake. I blocked the sender for everybody.",
    ),
    (
        "The label printer cuts too early.",
        "workaround",
        "Choose the format “A6 long” until the new driver arrives.",
    ),
    (
        "The file says it is locked.",
        "solved",
        "A session of last week still held it. I closed it; open it again.",
    ),
    (
        "Can I have a louder headset?",
        "duplicate",
        "Your colleague asked for the whole team; six are on their way.",
    ),
    (
        "The server room door beeps.",
        "known_error",
        "Its battery is low. The caretaker comes tomorrow; it still locks.",
    ),
    (
        "Where do I find my pay slip?",
        "no_answer",
        "I asked what you see on the page and had no answer for a week.",
    ),
    (
        "The printer on the second floor prints empty pages.",
        "solved",
        "The toner was empty although the display said 20 %. I had a new one put in; the queue prints again.",
    ),
    (
        "I can't open the shared calendar.",
        "solved",
        "You were in the old group. I moved you to the new one; sign out and in once and the calendar is there.",
    ),
    (
        "VPN drops every ten minutes.",
        "workaround",
        "Your client is two versions behind. Until the update tonight, choose the server “ams-2”, which holds.",
    ),
    (
        "The scanner in the warehouse shows error 14.",
        "known_error",
        "Error 14 is a known fault of this model. The maker sends a fix on Thursday; restart it by holding both keys.",
    ),
    (
        "How do I set an out-of-office note?",
        "solved",
        "In the mail program under Settings, Absence. It also works on the phone, under your picture.",
    ),
)


def ticket(m: Moment) -> Case:
    name, email, _ = m.rng.choice(COLLEAGUES)
    question, resolution, answer = m.rng.choice(_ANSWERS)
    number = "SD-" + m.digits(6)
    arguments: dict[str, Any] = {
        "ticket_id": number,
        "requester": email,
        "resolution": resolution,
        "message": f"Hello {name.split()[0]},\n\n{answer}\n\nYour service desk",
        "minutes_spent": m.pick(3, 5, 8, 12, 20),
    }
    return Case(
        arguments,
        summary=f"Answer and close {number}: {question}",
        reasoning="The answer is in the knowledge base and worked for three colleagues this month.",
        context=[user(question), tool("kb.search", answer)],
        subject=("employee", email),
        priority="low",
    )


def _ticket_unsolved(m: Moment, case: Case) -> Case:
    case.context.append(user("Still the same, I tried that yesterday."))
    return case.refused("not_solved", "The colleague says that this did not help.")


def _ticket_answer(m: Moment, case: Case) -> Case:
    return case.mended(
        "wrong_answer",
        "Never ask for a password.",
        message=case.arguments["message"] + "\n\nPlease send us your password, to test it.",
    )


KINDS = {
    "grant_system_access": Kind(
        grant_access, (_access_too_wide, _access_too_wide, _access_payroll, _access_question)
    ),
    "revoke_system_access": Kind(revoke_access),
    "reset_second_factor": Kind(second_factor, (_factor_stolen, _factor_person)),
    "change_configuration": Kind(configuration, (_config_zero, _config_environment)),
    "restart_service": Kind(restart, (_restart_all,)),
    "resolve_ticket": Kind(ticket, (_ticket_unsolved, _ticket_answer)),
}
