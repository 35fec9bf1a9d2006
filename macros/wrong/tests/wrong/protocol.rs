use resurgam_macros::protocol;

#[protocol(boxed)]
trait Optional {
    fn put(&self);
}

#[protocol]
trait Empty {}

#[protocol]
trait Generic<T> {
    fn put(&self, value: T);
}

#[protocol]
trait Derived: Clone {
    fn put(&self);
}

#[protocol]
trait Store {
    const SIZE: usize;

    fn get(&self, key: String) -> Option<String>;

    async fn borrowed(&self, key: &str) -> Option<&str>;

    async fn generic<K: Into<String>>(&self, key: K);

    fn exclusive(&mut self);

    fn of_nobody(key: String);

    fn with_a_body(&self) {}

    fn send(&self);
}

fn main() {}
