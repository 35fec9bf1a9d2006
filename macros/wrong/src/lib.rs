//! Nothing but tests. A package of its own, so that the attributes alone are
//! built for them: the tests need none of what a good use of them is about.
