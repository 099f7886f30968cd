"""`manage.py generate_demo`: fills a hub with rows to look at; `--remove` takes them away again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernels_app.services.demo import demo_people, make_demo, remove_demo
from zasper_hub.accounts.models import User


class Command(BaseCommand):
    help = "Fill the hub with demo people, kernels and nodes: rows only, for screenshots and demonstrations."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--people", type=int, default=50)
        parser.add_argument("--kernels", type=int, default=30)
        parser.add_argument("--nodes", type=int, default=3)
        parser.add_argument("--force", action="store_true", help="also on a hub that other people use")
        parser.add_argument("--remove", action="store_true", help="remove all that this command ever made")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["remove"]:
            self.stdout.write(f"Removed {remove_demo()} demo people and what was theirs.")
            return
        for name, most in (("people", 500), ("kernels", 2000), ("nodes", 50)):
            if not 0 <= options[name] <= most:
                raise CommandError(f"--{name} is 0 to {most}.")
        if demo_people().exists():
            raise CommandError("This hub has demo people already. Remove them first: generate_demo --remove")
        others = User.objects.filter(is_staff=False)
        if others.exists() and not options["force"]:
            raise CommandError(
                f"This hub has {others.count()} people of its own. Demo rows would stand beside theirs: "
                "use another data directory, or --force."
            )
        made = make_demo(people=options["people"], kernels=options["kernels"], nodes=options["nodes"])
        self.stdout.write("Made " + ", ".join(f"{count} {name}" for name, count in made.items()) + ".")
