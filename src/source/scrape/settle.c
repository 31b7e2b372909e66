/* settle: what only the whole page can tell.
 *
 * A page that differs from the last one has an old and a new array of positions. One stamp per interned metric, in a
 * scratch array that all targets of the worker share, answers everything in two walks, without a set:
 *
 *   walk the old array            stamp = known (or known, with timestamps of its own)
 *   walk the new array in order   stamped as seen already?  a duplicate: the first value wins
 *                                 not known?                new: label limits, scrape_series_added
 *                                 stamp = seen
 *   walk the old array again      not seen?                 gone: a stale marker
 *
 * A series is its labels, not its bytes: a line that only spells its labels in another order, or whose form changed
 * with the configuration or with a TYPE line, is another metric but not another series. So what is gone is compared
 * with what is new by the visible label set before it gets a marker; a marker beside a sample of the same series and
 * time would be refused by any receiver.
 *
 * Order of errors as in the original: the first line that offends, then sample_limit. Nothing is written to the page
 * before the last check has passed.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "base/quote.h"
#include "source/scrape/predict_int.h"

struct stamps {
    uint32_t *of; /* by metric id */
    uint32_t known, known_untracked, seen, seen_new, seen_untracked;
};

static struct stamps take_stamps(const struct reading *r)
{
    struct intern *in = r->p->intern;
    struct stamps s;

    intern_stamps(in, &s.known);
    intern_stamps(in, &s.known_untracked);
    intern_stamps(in, &s.seen);
    intern_stamps(in, &s.seen_new);
    s.of = intern_stamps(in, &s.seen_untracked);
    for (uint32_t i = 0; !r->page->fresh && i < r->page->n; i++) {
        uint32_t position = r->page->positions[i];
        if (!(position & (POSITION_PART | POSITION_LIMITED)))
            s.of[position & POSITION_ID] = position & POSITION_UNTRACKED ? s.known_untracked : s.known;
    }
    return s;
}

static bool is_known(const struct stamps *s, uint32_t id)
{
    return s->of[id] == s->known || s->of[id] == s->known_untracked;
}

static bool is_seen(const struct stamps *s, uint32_t id)
{
    return s->of[id] == s->seen || s->of[id] == s->seen_new || s->of[id] == s->seen_untracked;
}

static uint32_t new_positions(const struct reading *r)
{
    return r->diverged ? (uint32_t)r->p->n_positions : r->at;
}

static uint32_t new_position(const struct reading *r, uint32_t i)
{
    return r->diverged ? r->p->positions[i] : r->page->positions[i];
}

static uint16_t flags_of(const struct reading *r, uint32_t position)
{
    return intern_get(&r->view, position & POSITION_ID)->flags;
}

/* An entry for which there is a sample on the page, if it is no duplicate. */
static bool is_series(const struct reading *r, uint32_t position)
{
    return !(position & POSITION_PART) && !(flags_of(r, position) & (METRIC_COMMENT | METRIC_DROPPED));
}

static struct labels visible_of(struct predictor *p, const struct page *page, uint32_t position,
                                const struct scope *inner)
{
    struct intern_view view = intern_view(p->intern);
    const struct scope *scope = position_way(position) == INNER ? inner : page->outer;

    arena_reset(&p->arena);
    return metric_map_merged(intern_labels(&view, position & POSITION_ID, &p->arena), scope->labels, &p->arena);
}

static struct labels visible(struct reading *r, uint32_t position, const struct scope *inner)
{
    return visible_of(r->p, r->page, position, inner);
}

/* ---- label limits ------------------------------------------------------------------------------------------------ */

/* As Go's %.50s: at most fifty characters. */
static struct str clip(struct str s)
{
    size_t n = 0;

    for (int runes = 0; n < s.n && runes < 50; runes++) {
        uint32_t rune;
        size_t width = quote_rune(s, n, &rune);
        n += width ? width : 1;
    }
    return str_from(s.p, n);
}

static enum err check_lengths(struct labels l, const struct plan_scrape *config, struct diag *d)
{
    struct str name = clip(labels_get(l, LABEL_NAME));

    for (uint32_t i = 0; i < l.n; i++) {
        const struct label *at = &l.v[i];
        if (config->label_name_length_limit && at->name.n > config->label_name_length_limit)
            return diag_set(
                d, ERR_LIMIT,
                "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: %zu, limit: %llu)",
                STR_ARGS(name), STR_ARGS(clip(at->name)), at->name.n,
                (unsigned long long)config->label_name_length_limit);
        if (config->label_value_length_limit && at->value.n > config->label_value_length_limit) {
            AUTO_BUF value = {0};
            buf_quote(&value, clip(at->value));
            return diag_set(
                d, ERR_LIMIT,
                "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %s, length: %zu, "
                "limit: %llu)",
                STR_ARGS(name), STR_ARGS(clip(at->name)), value.p, at->value.n,
                (unsigned long long)config->label_value_length_limit);
        }
    }
    return OK;
}

static enum err check_labels(struct labels l, const struct plan_scrape *config, struct diag *d)
{
    if (config->label_limit && l.n > config->label_limit)
        return diag_set(d, ERR_LIMIT, "label_limit exceeded (metric: %.*s, number of labels: %u, limit: %llu)",
                        STR_ARGS(clip(labels_get(l, LABEL_NAME))), l.n, (unsigned long long)config->label_limit);
    return check_lengths(l, config, d);
}

/* The page ended at position i: what is reported of it. */
static void cut_result(struct reading *r, uint32_t i)
{
    r->result = (struct predict_result){0};
    for (uint32_t k = 0; k <= i; k++) {
        uint16_t flags = flags_of(r, new_position(r, k));
        if (new_position(r, k) & POSITION_PART)
            continue;
        r->result.scraped += !(flags & METRIC_COMMENT);
        r->result.relabelled += k < i && !(flags & (METRIC_COMMENT | METRIC_DROPPED));
    }
}

enum err settle_limits(struct reading *r, struct diag *d)
{
    const struct plan_scrape *config = r->in->config;

    if (!config->label_limit && !config->label_name_length_limit && !config->label_value_length_limit)
        return OK;
    if (!r->diverged && !r->page->fresh)
        return OK;
    struct stamps s = take_stamps(r);
    for (uint32_t i = 0; i < new_positions(r); i++) {
        uint32_t position = new_position(r, i);
        uint32_t id = position & POSITION_ID;
        if (is_known(&s, id) || is_seen(&s, id) || !is_series(r, position))
            continue;
        s.of[id] = s.seen;
        if (check_labels(visible(r, position, r->page->inner), config, d) == OK)
            continue;
        counter_inc(r->p->counters.over_label_limits);
        cut_result(r, i);
        return ERR_LIMIT;
    }
    return OK;
}

/* ---- the new array ----------------------------------------------------------------------------------------------- */

static void note_seen(struct reading *r, struct stamps *s, uint32_t position)
{
    uint32_t id = position & POSITION_ID;
    bool known = is_known(s, id);

    r->result.added += !known;
    if (position & POSITION_UNTRACKED)
        s->of[id] = s->seen_untracked;
    else
        s->of[id] = known ? s->seen : s->seen_new;
}

/* The part that is the old array's: its duplicates are marked, and have left no samples. */
static void settle_same(struct reading *r, struct stamps *s)
{
    for (uint32_t i = 0; i < r->same; i++) {
        uint32_t position = r->p->positions[i];
        if (!(position & (POSITION_DUPLICATE | POSITION_LIMITED)) && is_series(r, position))
            note_seen(r, s, position);
    }
}

/* Whether series_limit has room for it; a series of the page before has its place. */
static bool let_in(struct reading *r, const struct stamps *s, uint32_t position)
{
    struct series_limit *l = r->page->limit;

    if (!l || (is_known(s, position & POSITION_ID) && !r->relimit))
        return true;
    return series_limit_allows(l, labels_hash(visible(r, position, r->page->inner)));
}

/* The rest: each kept position has its sample, in order, in the list of its way. */
static void settle_rest(struct reading *r, struct stamps *s)
{
    struct predictor *p = r->p;
    struct thinning lists[2] = {thinning_begin(p, INNER, r->settled[INNER]),
                                thinning_begin(p, OUTER, r->settled[OUTER])};

    for (size_t i = r->same; i < p->n_positions; i++) {
        uint32_t position = p->positions[i];
        uint32_t id = position & POSITION_ID;
        if (!is_series(r, position))
            continue;
        struct thinning *list = &lists[position_way(position)];
        struct sample sample = *thinning_next(list);
        if (is_seen(s, id)) {
            p->positions[i] |= POSITION_DUPLICATE;
            if (!has_own_time(p, &sample)) {
                r->duplicates++;
                continue;
            }
        } else if (!let_in(r, s, position)) {
            p->positions[i] |= POSITION_LIMITED;
            r->result.limited++;
            continue;
        } else {
            if (has_own_time(p, &sample) && s->of[id] == s->known)
                stamped_note(r, id);
            note_seen(r, s, position);
        }
        thinning_keep(list, &sample);
    }
    thinning_end(&lists[INNER]);
    thinning_end(&lists[OUTER]);
}

/* ---- what is gone ------------------------------------------------------------------------------------------------ */

#define GONE_NAMES 8

/* Entries that get no marker. */
#define NEVER_GONE (POSITION_DUPLICATE | POSITION_UNTRACKED | POSITION_PART | POSITION_LIMITED)

struct gone {
    uint64_t hash; /* of the visible label set */
    uint32_t position;
    bool alive; /* the same series is on the page under other bytes */
};

struct gone_list {
    struct gone *v;
    size_t n, cap;
    struct map by_hash;
    struct str names[GONE_NAMES]; /* with which the raw bytes begin; views into the intern table */
    uint32_t n_names;
    bool any_name; /* more names than that, or one that the bytes do not begin with */
};

struct gone_key {
    const struct gone_list *list;
    uint64_t hash;
};

static bool same_gone(const void *ctx, uint32_t index)
{
    const struct gone_key *key = ctx;

    return key->list->v[index].hash == key->hash;
}

static struct gone *find_gone(const struct gone_list *list, uint64_t hash)
{
    struct gone_key key = {list, hash};
    uint32_t at = map_find(&list->by_hash, hash, same_gone, &key);

    return at == MAP_NONE ? NULL : &list->v[at];
}

/* A metric's name ends where its raw bytes go on with one of these; the last is protobuf's. */
static bool ends_name(char c)
{
    return c == '{' || c == ' ' || c == '\t' || c == (char)0xff;
}

static bool has_name(struct str raw, struct str name)
{
    return raw.n > name.n && memcmp(raw.p, name.p, name.n) == 0 && ends_name(raw.p[name.n]);
}

static bool may_be_gone(const struct gone_list *list, struct str raw)
{
    if (list->any_name || (raw.n && raw.p[0] == '{'))
        return true;
    for (uint32_t i = 0; i < list->n_names; i++) {
        if (has_name(raw, list->names[i]))
            return true;
    }
    return false;
}

static void note_name(struct gone_list *list, struct str raw)
{
    size_t n = 0;

    while (n < raw.n && !ends_name(raw.p[n]))
        n++;
    list->any_name |= n == 0 || list->n_names == GONE_NAMES;
    if (!list->any_name)
        list->names[list->n_names++] = str_from(raw.p, n);
}

/* False when that series is in the list already. */
static bool add_gone(struct gone_list *list, uint64_t hash, uint32_t position)
{
    if (find_gone(list, hash))
        return false;
    list->v = mem_grow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
    list->v[list->n] = (struct gone){hash, position, false};
    map_add(&list->by_hash, hash, (uint32_t)list->n++);
    return true;
}

static void release_gone(struct gone_list *list)
{
    free(list->v);
    map_release(&list->by_hash);
}

static void collect_gone(struct reading *r, struct stamps *s, struct gone_list *list)
{
    const struct page *page = r->page;

    for (uint32_t i = 0; i < page->n; i++) {
        uint32_t position = page->positions[i];
        uint32_t id = position & POSITION_ID;
        if (position & NEVER_GONE || s->of[id] == s->seen || s->of[id] == s->seen_new || !is_series(r, position))
            continue;
        if (!add_gone(list, labels_hash(visible(r, position, page->seen_inner)), position))
            continue;
        if (flags_of(r, position) & METRIC_CONVERTED) /* its raw bytes are a line's, of another name */
            list->any_name = true;
        else if (!may_be_gone(list, intern_raw(&r->view, id)))
            note_name(list, intern_raw(&r->view, id));
    }
}

/* Only lines of the same name can be the same series, and names of what is gone are few on any ordinary page. */
static void find_alive(struct reading *r, const struct stamps *s, struct gone_list *list)
{
    for (size_t i = 0; i < r->p->n_positions; i++) {
        uint32_t position = r->p->positions[i];
        uint32_t id = position & POSITION_ID;
        if (s->of[id] != s->seen && s->of[id] != s->seen_new)
            continue;
        if (!may_be_gone(list, intern_raw(&r->view, id)) && !(flags_of(r, position) & METRIC_CONVERTED))
            continue;
        struct gone *g = find_gone(list, labels_hash(visible(r, position, r->page->inner)));
        if (g)
            g->alive = true;
    }
}

static void mark_gone(struct reading *r, struct stamps *s)
{
    struct gone_list list = {0};

    if (r->page->marked)
        return;
    collect_gone(r, s, &list);
    if (list.n > 0)
        find_alive(r, s, &list);
    for (size_t i = 0; i < list.n; i++) {
        if (!list.v[i].alive)
            marker_append(r->p, r->page, list.v[i].position, r->in->ts_ms);
    }
    release_gone(&list);
}

/* Two lines may have become one series: it gets one marker. */
void settle_failed(struct predictor *p, struct page *page, int64_t ts_ms)
{
    struct intern_view view = intern_view(p->intern);
    struct gone_list list = {0};

    for (uint32_t i = 0; i < page->n; i++) {
        uint32_t position = page->positions[i];
        uint16_t flags = intern_get(&view, position & POSITION_ID)->flags;
        if (position & NEVER_GONE || flags & (METRIC_COMMENT | METRIC_DROPPED))
            continue;
        if (add_gone(&list, labels_hash(visible_of(p, page, position, page->seen_inner)), position))
            marker_append(p, page, position, ts_ms);
    }
    release_gone(&list);
}

/* ---- commit ------------------------------------------------------------------------------------------------------ */

static void commit(struct reading *r)
{
    struct predictor *p = r->p;
    struct page *page = r->page;
    uint32_t n = (uint32_t)p->n_positions;

    for (uint32_t i = r->same; i < n; i++)
        intern_ref(&r->view, p->positions[i] & POSITION_ID);
    for (uint32_t i = r->same; i < page->n; i++)
        intern_unref(&r->view, page->positions[i] & POSITION_ID);
    if (n == 0) {
        free(page->positions);
        page->positions = NULL;
    } else {
        if (n != page->n)
            page->positions = mem_realloc(page->positions, sizeof(*page->positions) * n);
        memcpy(page->positions, p->positions, sizeof(*page->positions) * n);
    }
    page->n = n;
    page->converted = r->convert;
    if (page->seen_inner != page->inner) {
        /* The markers beside the scope of before are still in the batch. */
        p->leaving = page->seen_inner;
        page->seen_inner = scope_ref(page->inner);
    }
}

bool over_sample_limit(const struct reading *r)
{
    const struct predictor *p = r->p;
    uint64_t limit = r->in->config->sample_limit;

    return limit && (r->hopeless || p->samples[INNER].n + p->samples[OUTER].n > limit);
}

enum err settle_page(struct reading *r, struct diag *d)
{
    struct page *page = r->page;
    bool changed = r->diverged || r->at < page->n || page->fresh;
    struct stamps s = {0};

    if (changed) {
        reading_diverge(r);
        enum err err = settle_limits(r, d);
        if (err != OK)
            return err;
        s = take_stamps(r);
        settle_same(r, &s);
        settle_rest(r, &s);
    }
    if (over_sample_limit(r)) {
        counter_inc(r->p->counters.over_sample_limit);
        return diag_set(d, ERR_LIMIT, "sample limit exceeded");
    }
    if (r->over_buckets) {
        counter_inc(r->p->counters.over_bucket_limit);
        return diag_set(d, ERR_LIMIT, "histogram bucket limit exceeded");
    }
    if (r->stamped || page->stamped)
        stamped_filter(r);
    blocks_note(r, METRIC_NONE);
    if (changed) {
        mark_gone(r, &s);
        commit(r);
    }
    exemplars_commit(r);
    series_limit_settle(page->limit, true);
    page->fresh = false;
    page->marked = false;
    return OK;
}
