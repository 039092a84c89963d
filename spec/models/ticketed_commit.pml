/* Ticketed commit with a crash at any point; see README.md beside this file.
 *
 *   spin -a ticketed_commit.pml && cc -O2 -DSAFETY -DCOLLAPSE pan.c && ./a.out
 *
 * or tools/model, which also sees to it that each sabotage below is found:
 * SKIP_VALIDATE, VALIDATE_TICKET_ONLY, WAIT_FOR_VALID, OUT_OF_ORDER,
 * NO_WINDOW, ACK_BEFORE_SYNC, TELL_EARLY, HEAD_BEFORE_SYNC, LOSE_ON_CRASH,
 * REPEAT_ON_CRASH, CUT_TO_HEAD, TRUST_TAIL.
 */

#ifndef TICKETS
#define TICKETS 4  /* at most 4 */
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef WINDOW
#define WINDOW 3   /* tickets in flight */
#endif
#ifndef ROUND
#define ROUND 1    /* tickets to a block */
#endif
#ifndef CRASHES
#define CRASHES 2
#endif

/* --- the steps: two cells, what each ticket reads of them and writes --- */

#define WRITES(t)     ((t) & 1)
#define FIRST(t)      (((t) >> 1) & 1)
#define READS_BOTH(t) ((t) % 2 == 0)
#define STEP(a, b, i) (64 + ((2 * (a) + 3 * (b) + (i)) & 63))

byte serial[TICKETS + 1];  /* what each writes if they run one by one */

/* --- memory: gone after a crash --- */

#define NONE      0
#define ISSUED    1
#define RUNNING   2
#define DONE      3
#define COMMITTED 4

bool up;
byte issued, committed, position;
byte status[TICKETS + 1];
byte seen_a[TICKETS + 1];  /* versions that the step read: 2 * ticket + rerun */
byte seen_b[TICKETS + 1];
bool rerun[TICKETS + 1];
byte busy[WORKERS];        /* the ticket that a worker has; 0: none */
byte at[WORKERS];          /* how far it is in it */
byte read_a[WORKERS], read_b[WORKERS];
byte durable;              /* tickets that the writer knows to be synced */
byte told;                 /* effects, since the world was opened */

/* --- what a ticket's entries say; on disk as far as `appended` --- */

byte out[TICKETS + 1];     /* what it wrote */
byte input[TICKETS + 1];   /* the input that it is the ticket of */

/* --- disk --- */

byte appended, synced;     /* tickets in blocks */
byte head;                 /* acknowledged tickets, as HEAD has it */

/* --- the world outside: it remembers --- */

byte acknowledged;
byte was_told[TICKETS + 1];
byte crashes;
bool recovering, over;

#define SEALED \
  (committed == TICKETS -> committed : committed - committed % ROUND)
#define NEXT_BLOCK(t) \
  ((t) + ROUND > TICKETS -> TICKETS : (t) + ROUND)
#define ALL_DONE                                                     \
  (up && committed == TICKETS && acknowledged == TICKETS && head == TICKETS && \
   told == TICKETS)

hidden byte k, version, value, a, b, keep;

/* Finds the newest version of `cell` below ticket `t`, committed or not. */
inline find(t, cell) {
  k = t - 1;
  do
  :: k > 0 && !(status[k] >= DONE && WRITES(k) == cell) -> k--
  :: else -> break
  od;
  version = 2 * k + (k > 0 && rerun[k]);
  value = (k > 0 -> out[k] : 0)
}

#define TAKE(t) \
  :: atomic { up && busy[me] == 0 && status[t] == ISSUED -> \
       status[t] = RUNNING; busy[me] = t }

/* Runs steps beside others, on what is there at the moment. */
proctype Worker(byte me) {
  do
  TAKE(1)
  TAKE(2)
#if TICKETS > 2
  TAKE(3)
#endif
#if TICKETS > 3
  TAKE(4)
#endif
  :: d_step { busy[me] > 0 && at[me] == 0 ->
       find(busy[me], FIRST(busy[me]));
       seen_a[busy[me]] = version;
       read_a[me] = value;
       at[me] = 1 }
  :: d_step { busy[me] > 0 && at[me] == 1 && READS_BOTH(busy[me]) ->
       find(busy[me], 1 - FIRST(busy[me]));
       seen_b[busy[me]] = version;
       read_b[me] = value;
       at[me] = 2 }
  :: d_step { busy[me] > 0 && at[me] == 2 - !READS_BOTH(busy[me]) ->
       out[busy[me]] = STEP(read_a[me], read_b[me], input[busy[me]]);
       status[busy[me]] = DONE;
       busy[me] = 0; at[me] = 0; read_a[me] = 0; read_b[me] = 0 }
  :: over -> break
  od
}

#ifdef NO_WINDOW
#define ROOM true
#else
#define ROOM (issued < committed + WINDOW)
#endif

#ifdef SKIP_VALIDATE
#define SAME(one, other) true
#elif defined(VALIDATE_TICKET_ONLY)
#define SAME(one, other) ((one) / 2 == (other) / 2)
#else
#define SAME(one, other) ((one) == (other))
#endif

/* Whether what ticket `t` has read is what is there in its turn; a, b: that. */
bool valid;
inline validate(t) {
  find(t, FIRST(t));
  a = value;
  b = 0;
  valid = SAME(seen_a[t], version);
  if
  :: READS_BOTH(t) ->
     find(t, 1 - FIRST(t));
     b = value;
     valid = valid && SAME(seen_b[t], version)
  :: else
  fi
}

#ifdef WAIT_FOR_VALID
#define RUN_AGAIN(t) status[t] = RUNNING
#else
#define RUN_AGAIN(t) out[t] = STEP(a, b, input[t]); rerun[t] = 1
#endif

#ifdef OUT_OF_ORDER
#define TURN(t) true
#else
#define TURN(t) (t == committed + 1)
#endif

#define COMMIT(t) \
  :: d_step { up && status[t] == DONE && TURN(t) -> \
       validate(t); \
       if \
       :: !valid -> RUN_AGAIN(t) \
       :: else \
       fi; \
       valid = 0; \
       if \
       :: status[t] == DONE -> \
          assert(t == committed + 1);     /* C1: in order */ \
          assert(input[t] == t);          /* C2: each input once */ \
          assert(out[t] == serial[t]);    /* C3: as if run one by one */ \
          committed++; \
          status[t] = COMMITTED; \
          seen_a[t] = 0; seen_b[t] = 0 \
       :: else \
       fi }

/* Issues tickets and commits them: one thread at a time has the role. */
proctype Ordered() {
  do
  :: d_step { up && issued < TICKETS && ROOM ->
       issued++;
       position++;
       input[issued] = position;
       status[issued] = ISSUED;
       assert(issued <= committed + WINDOW) }  /* C4: the window's bound */
  COMMIT(1)
  COMMIT(2)
#if TICKETS > 2
  COMMIT(3)
#endif
#if TICKETS > 3
  COMMIT(4)
#endif
  :: over -> break
  od
}

#ifdef ACK_BEFORE_SYNC
#define ACKNOWLEDGES appended
#else
#define ACKNOWLEDGES durable
#endif
#ifdef HEAD_BEFORE_SYNC
#define HEAD_SAYS appended
#else
#define HEAD_SAYS acknowledged
#endif

/* Appends whole blocks, as many as there are, syncs, and then says so. */
proctype Writer() {
  do
  :: d_step { up && appended < SEALED -> appended = SEALED }
  :: d_step { up && durable < appended -> synced = appended; durable = synced }
  :: d_step { up && acknowledged < ACKNOWLEDGES ->
       acknowledged = ACKNOWLEDGES }
  :: d_step { up && head < HEAD_SAYS -> head = HEAD_SAYS }
  :: over -> break
  od
}

#ifdef TELL_EARLY
#define MAY_TELL committed
#else
#define MAY_TELL durable
#endif

/* Tells executors of effects; after a restart of all of them again. */
proctype Dispatcher() {
  do
  :: d_step { up && told < MAY_TELL ->
       told++;
       assert(told <= synced);            /* C5: only of what is synced */
       assert(was_told[told] == 0 ||      /* C6: and always the same */
              was_told[told] == out[told]);
       was_told[told] = out[told] }
  :: over -> break
  od
}

/* Memory is gone; of blocks that are not synced, a beginning may be left. */
proctype Power() {
  do
  :: atomic { crashes < CRASHES ->
       crashes++;
       up = 0;
       keep = synced;
       do
       :: keep < appended -> keep = NEXT_BLOCK(keep)
       :: break
       od;
       d_step {
         assert(keep >= acknowledged);    /* C7: acknowledged is durable */
         assert(keep >= head);            /* C8: HEAD is not ahead */
         appended = keep;
         k = 1;
         do
         :: k <= TICKETS ->
            seen_a[k] = 0; seen_b[k] = 0; rerun[k] = 0; status[k] = NONE;
            if
            :: k > keep -> out[k] = 0; input[k] = 0
            :: else
            fi;
            k++
         :: else -> break
         od;
         k = 0;
         do
         :: k < WORKERS ->
            busy[k] = 0; at[k] = 0; read_a[k] = 0; read_b[k] = 0; k++
         :: else -> break
         od;
#ifndef LOSE_ON_CRASH
         position = 0;
#endif
         issued = 0; committed = 0; durable = 0; told = 0;
         recovering = 1; keep = 0
       } }
  :: break
  od
}

/* Opens the world from what is on disk. It may be cut short at any point, too. */
proctype Opener() {
  do
  :: d_step { recovering && committed < appended ->   /* applies the blocks */
#ifdef CUT_TO_HEAD
       appended = head;
       synced = (synced > head -> head : synced);
#endif
       assert(appended >= acknowledged);  /* C7 */
       k = 1;
       do
       :: k <= appended -> status[k] = COMMITTED; k++
       :: else -> break
       od;
       issued = appended; committed = appended }
  :: d_step { recovering && committed == appended && durable < appended ->
#ifndef TRUST_TAIL
       synced = appended;                 /* before anybody hears of them */
#endif
       durable = appended }
  :: d_step { recovering && committed == appended && durable == appended ->
#ifdef REPEAT_ON_CRASH
       position = head;
#elif !defined(LOSE_ON_CRASH)
       position = (appended > 0 -> input[appended] : 0);
#endif
       recovering = 0; up = 1 }
  :: over -> break
  od
}

/* When nothing can go on, everything has been done. */
proctype Watch() {
  timeout -> assert(ALL_DONE);            /* C9: nothing is lost or stuck */
  over = 1
}

init {
  atomic {
    d_step {
      a = 1;
      do
      :: a <= TICKETS ->
         /* The cells as the tickets below left them. */
         k = a - 1;
         do
         :: k > 0 && WRITES(k) != FIRST(a) -> k--
         :: else -> break
         od;
         value = (k > 0 -> serial[k] : 0);
         k = a - 1;
         do
         :: k > 0 && WRITES(k) == FIRST(a) -> k--
         :: else -> break
         od;
         b = (k > 0 && READS_BOTH(a) -> serial[k] : 0);
         serial[a] = STEP(value, b, a);
         a++
      :: else -> break
      od;
      up = 1
    };
    a = 0;
    do
    :: a < WORKERS -> run Worker(a); a++
    :: else -> break
    od;
    run Ordered(); run Writer(); run Dispatcher(); run Power(); run Opener();
    run Watch()
  }
}

#ifdef LIVENESS
ltl ends { <> over }                      /* C10: every run comes to its end */
#endif
