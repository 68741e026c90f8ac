//! One macro that applies another to tuples of 1 to 12 elements: Rust has no generics over the length of a tuple.

macro_rules! for_each_tuple {
    ($apply:ident) => {
        $apply!(A a);
        $apply!(A a, B b);
        $apply!(A a, B b, C c);
        $apply!(A a, B b, C c, D d);
        $apply!(A a, B b, C c, D d, E e);
        $apply!(A a, B b, C c, D d, E e, F f);
        $apply!(A a, B b, C c, D d, E e, F f, G g);
        $apply!(A a, B b, C c, D d, E e, F f, G g, H h);
        $apply!(A a, B b, C c, D d, E e, F f, G g, H h, I i);
        $apply!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j);
        $apply!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k);
        $apply!(A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l);
    };
}

pub(crate) use for_each_tuple;
