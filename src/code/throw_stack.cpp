// The stack of an exception, noted where it is thrown.
//
// By the time a handler runs, the stack below it is gone. But an exception is thrown in two phases,
// and in the first, while the stack is still there, each frame is asked by its personality routine
// whether it has a handler. The frame of forkful_call_noting_throw() answers no, and notes the
// stack.

#include <unwind.h>

#include <array>
#include <cstdint>
#include <forkful/detail/calls/exception.hpp>
#include <forkful/errors.hpp>

#if defined(__x86_64__) || defined(__aarch64__)
#define FORKFUL_NOTES_THROWS 1
#endif

#ifdef FORKFUL_NOTES_THROWS
extern "C" void forkful_call_noting_throw(void (*f)(void*), void* argument);
#endif

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

struct Note {
  // A guess: what is deeper is cut at its outer end.
  std::array<const void*, 48> frames;
  std::size_t count = 0;
};
// Filled while the exception is thrown, when allocating could fail, and taken by the handler.
thread_local Note t_note;

#ifdef FORKFUL_NOTES_THROWS

// Above the thrower: the personality routine, the unwinder, and what a throw calls.
constexpr int kFramesOfThrow = 3;

_Unwind_Reason_Code note_frame(_Unwind_Context* frame, void* skipped) {
  if ((*static_cast<int*>(skipped))++ < kFramesOfThrow) return _URC_NO_REASON;
  // The call itself lies before the return address.
  const auto call = static_cast<std::uintptr_t>(_Unwind_GetIP(frame)) - 1;
  const auto end = reinterpret_cast<std::uintptr_t>(&forkful_call_noting_throw);
  // Both trampolines below are shorter. Where one is met, the rest of the stack is the engine's.
  constexpr std::uintptr_t kTrampolineBytes = 64;
  if (call - end < kTrampolineBytes || t_note.count == t_note.frames.size()) {
    return _URC_END_OF_STACK;
  }
  t_note.frames[t_note.count++] = reinterpret_cast<const void*>(call);
  return _URC_NO_REASON;
}

#endif  // FORKFUL_NOTES_THROWS

}  // namespace

#ifdef FORKFUL_NOTES_THROWS

extern "C" __attribute__((used, visibility("hidden"))) _Unwind_Reason_Code forkful_note_personality(
    int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception*, _Unwind_Context*) {
  // The search phase alone: in the second one the stack is being taken down.
  if ((actions & _UA_SEARCH_PHASE) != 0) {
    t_note.count = 0;
    int skipped = 0;
    _Unwind_Backtrace(note_frame, &skipped);
  }
  return _URC_CONTINUE_UNWIND;
}

// f(argument), in a frame with the personality above. 0x1b: the personality's address is four
// bytes, relative to its own place (DW_EH_PE_pcrel | DW_EH_PE_sdata4).
#if defined(__x86_64__)
asm(R"(
  .text
  .hidden forkful_call_noting_throw
  .globl forkful_call_noting_throw
  .type forkful_call_noting_throw, @function
forkful_call_noting_throw:
  .cfi_startproc
  .cfi_personality 0x1b, forkful_note_personality
  endbr64
  subq $8, %rsp
  .cfi_adjust_cfa_offset 8
  movq %rdi, %rax
  movq %rsi, %rdi
  call *%rax
  addq $8, %rsp
  .cfi_adjust_cfa_offset -8
  ret
  .cfi_endproc
  .size forkful_call_noting_throw, . - forkful_call_noting_throw
)");
#else
asm(R"(
  .text
  .hidden forkful_call_noting_throw
  .globl forkful_call_noting_throw
  .type forkful_call_noting_throw, %function
forkful_call_noting_throw:
  .cfi_startproc
  .cfi_personality 0x1b, forkful_note_personality
  stp x29, x30, [sp, #-16]!
  .cfi_def_cfa_offset 16
  .cfi_offset 29, -16
  .cfi_offset 30, -8
  mov x29, sp
  mov x2, x0
  mov x0, x1
  blr x2
  ldp x29, x30, [sp], #16
  .cfi_restore 30
  .cfi_restore 29
  .cfi_def_cfa_offset 0
  ret
  .cfi_endproc
  .size forkful_call_noting_throw, . - forkful_call_noting_throw
)");
#endif

#endif  // FORKFUL_NOTES_THROWS

void call_noting_throw(void (*f)(void*), void* argument) {
  t_note.count = 0;
#ifdef FORKFUL_NOTES_THROWS
  forkful_call_noting_throw(f, argument);
#else
  f(argument);
#endif
}

std::vector<CodePlace> take_noted_stack() {
  std::vector<CodePlace> places;
  for (std::size_t i = 0; i < t_note.count; ++i) {
    try {
      places.push_back(place_of_address(t_note.frames[i]));
    } catch (const Error&) {
      // Why: code that was made at run time has no place; the frames around it tell enough.
    }
  }
  t_note.count = 0;
  return places;
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
