//! The Harbor edge: sign-in, paging, and the calls that harborage makes.
