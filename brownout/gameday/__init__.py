"""Game days: drills that are planned in a file, permitted by rules, played in order and written down.

`reader` reads the plan, `schedule` and `blackouts` say when it may be, `radius` whether it stays within its blast
radius, `governance` whether it may start now, `drill` plays it, `journal` and `minutes` remember it, `record` tells of
it, `engines` hands its calendar to an engine that keeps one. Needs the extra `gameday`.
"""
