"""Owns: the roof. Settings, the servers a single machine needs, the timetable, pages and commands that know all apps.
Does not own: any rule about money or days; those live in the app of their noun.
"""

from config.celery import app as celery_app

__all__ = ["celery_app"]
