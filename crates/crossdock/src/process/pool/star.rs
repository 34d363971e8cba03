//! Functions of several arguments.

use super::{Calls, Pool};
use crate::error::Result;
use crate::process::executor::Future;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A function of several arguments, 2 to 6, which can be called with a tuple of them: see [`Pool::starmap`].
pub trait Star<A>: Copy + Send + 'static {
    /// What it returns.
    type Output;

    /// Calls it.
    fn call(self, arguments: A) -> Self::Output;
}

macro_rules! stars {
    ($($($part:ident)+;)+) => {$(
        impl<F, R, $($part),+> Star<($($part,)+)> for F
        where
            F: Fn($($part),+) -> R + Copy + Send + 'static,
        {
            type Output = R;

            fn call(self, arguments: ($($part,)+)) -> R {
                #[expect(non_snake_case, reason = "the type and its value have one name")]
                let ($($part,)+) = arguments;
                self($($part),+)
            }
        }
    )+};
}

stars! {
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E G;
}

impl Pool {
    /// As [`map`](Self::map), for a function of several arguments, which come as tuples.
    ///
    /// # Errors
    ///
    /// As those of `map`.
    ///
    /// # Examples
    ///
    /// ```
    /// use crossdock::process::{self, Pool};
    ///
    /// # fn main() -> crossdock::Result<()> {
    /// process::init(); // the first line of main
    ///
    /// assert_eq!(Pool::new(2)?.starmap(u64::pow, [(2, 10), (3, 4)])?, [1024, 81]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn starmap<F, I, R>(&self, task: F, arguments: I) -> Result<Vec<R>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Star<I::Item, Output = R>,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().starmap(task, arguments)
    }

    /// As [`starmap`](Self::starmap), without waiting.
    ///
    /// # Errors
    ///
    /// As those of [`map_async`](Self::map_async).
    pub fn starmap_async<F, I, R>(&self, task: F, arguments: I) -> Result<Future<Vec<R>>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Star<I::Item, Output = R>,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.calls().starmap_async(task, arguments)
    }
}

impl Calls<'_> {
    /// As [`Pool::starmap`].
    ///
    /// # Errors
    ///
    /// As those of it.
    pub fn starmap<F, I, R>(&self, task: F, arguments: I) -> Result<Vec<R>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Star<I::Item, Output = R>,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.starmap_async(task, arguments)?.result()
    }

    /// As [`Pool::starmap_async`].
    ///
    /// # Errors
    ///
    /// As those of it.
    pub fn starmap_async<F, I, R>(&self, task: F, arguments: I) -> Result<Future<Vec<R>>>
    where
        I: IntoIterator<Item: Serialize + DeserializeOwned + Send + 'static>,
        F: Star<I::Item, Output = R>,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        self.map_async(move |arguments: I::Item| task.call(arguments), arguments)
    }
}
