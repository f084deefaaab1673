"""Number whole trees anew in one statement: what mptt does node by node, for imports that write past it."""

from collections.abc import Sequence

from django.db import connection

NUMBER = """
with recursive
climb(id, parent_id) as (
    select id, parent_id from tenants_tenant
        where id = any(%(touched)s) or (parent_id is null and tree_id = any(%(left)s))
    union
    select above.id, above.parent_id from tenants_tenant above join climb on above.id = climb.parent_id
),
root(id, tree_id) as (
    -- a root of before keeps its tree; a new one, or one that came up from below, opens the next
    select t.id,
        case when t.tree_id > 0 and t.level = 0 then t.tree_id
        else (select coalesce(max(tree_id), 0) from tenants_tenant)
            + row_number() over (partition by t.tree_id > 0 and t.level = 0 order by t.id) end
    from tenants_tenant t join climb on climb.id = t.id where climb.parent_id is null
),
walk(id, tree_id, level, ids, path) as (
    select id, tree_id, 0, array[id], array[]::bigint[] from root
    union all
    select below.id, walk.tree_id, walk.level + 1, walk.ids || below.id,
        -- children stay in their order, those that came here follow
        walk.path || array[case when below.tree_id = walk.tree_id then below.lft else 2147483648 end, below.id]
    from tenants_tenant below join walk on below.parent_id = walk.id
),
place(id, tree_id, level, number) as (
    select id, tree_id, level, row_number() over (partition by tree_id order by path) from walk
),
size(id, nodes) as (
    select member, count(*) from walk cross join unnest(ids) member group by member
)
update tenants_tenant t
    set tree_id = place.tree_id, level = place.level,
        lft = 2 * number - place.level - 1, rght = 2 * number - place.level - 2 + 2 * nodes
    from place join size on size.id = place.id
    where t.id = place.id
        and (t.tree_id, t.level, t.lft, t.rght) is distinct from (
            place.tree_id, place.level, 2 * number - place.level - 1, 2 * number - place.level - 2 + 2 * nodes)
"""


def number_trees(touched: Sequence[int], *, left: Sequence[int] = ()) -> None:
    """Number every node of the trees of ``touched`` accounts, and of the trees ``left`` by them, from ``parent_id``.

    ``left`` are ids of trees that accounts moved out of. New accounts come with tree 0. The caller holds the tree lock.
    """
    if touched or left:
        with connection.cursor() as cursor:
            cursor.execute(NUMBER, {"touched": list(touched), "left": list(left)})
