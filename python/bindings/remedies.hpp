// What is said beside an exception of pickling or unpickling: what to give instead. By the text of
// the exception, which names the kind of what was refused wherever in a message it was.
#pragma once

#include <string_view>

#include "errors.hpp"

namespace forkful::python {

// The text that an exception was made with; empty where it is none. It lasts as long as that.
std::string_view text_of(PyObject* error);

// Of a function that is called, where that could not be pickled.
inline constexpr const char kNamedFunctions[] =
    "another process knows a function by its name: give one that is defined at the top level of a "
    "module; functools.partial() of it takes arguments along";

// Notes on the exception that is set `what` could not be pickled, and then the remedy where there
// is one: on the same line after `between`, or in a note of its own where that is null.
void note_refusal(const std::string& what, const char* between = nullptr);

// Notes on the exception that is set where a function or a class has to be defined, if it is that
// this process has not the one that a message names.
void note_missing();

bool add_remedies(PyObject* module);

}  // namespace forkful::python
