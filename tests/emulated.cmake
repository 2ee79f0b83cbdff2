# The tests that are left out where qemu-user runs them, by what it does not emulate: patterns of
# GoogleTest, for all rooms. The test preset aarch64 leaves out the models too (members die at an
# instruction there, by ptrace) and the mutants of the schedules (which say nothing of a machine).

set(left_out
  # To execute a program of another machine, which takes the kernel's binfmt_misc: a process that
  # re-executes itself, and the death tests, which do so too.
  *DeathTest.* */spawn* */forkserver* Spawn.* ForkServer.* SetuidProgram.* StartWords.* Marker.*
  Orphans.* Confined.* PoolCaptures.* PoolForks.* RemoteErrors.have_plain_type_names
  RemoteStack.is_kept_when_an_exception_passes_through_a_pool_in_the_worker/*
  Start.an_exit_code_is_known_though_somebody_else_waited_for_the_child/*
  Start.goes_on_when_the_program_lowers_its_limit_of_descriptors/*
  BadInput.a_future_says_that_its_result_is_handed_out_once
  Connections.their_end_keeps_its_type_on_the_way_to_a_pool_s_client
  Label.is_known_to_the_whole_family Log.level_holds_in_spawned_processes
  Until.the_longest_duration_ends_no_wait_before_what_is_waited_for
  # ptrace().
  *KilledAtAnyInstruction.* *_killed_at_any_instruction_* *_whichever_instruction_*
  SteppedWorker.killed_at_many_instructions_*
  # madvise(): it does nothing and reports success, so memory is neither given back nor wiped, and a
  # child inherits what it should not.
  HeldBytes.held_for_life_outlast_every_descriptor_and_no_process
  Memory.that_is_punched_reads_zero Memory.beside_what_is_punched_* Memory.that_is_wiped_on_fork_*
  Heap.large_free_runs_go_back_to_the_kernel_beyond_a_bound EverySize/HeapBurst.*
  Objects.a_raw_clone_joins_at_its_first_use
  Objects.a_raw_clone_that_joined_keeps_what_its_parent_drops
  # RLIMIT_AS: it would limit the emulator.
  Heap.a_limited_address_space_refuses_and_leaks_nothing
  Journal.a_repair_that_cannot_be_done_here_is_left_to_others)
list(JOIN left_out ":" left_out)
set(FORKFUL_TEST_FILTER "-${left_out}")
