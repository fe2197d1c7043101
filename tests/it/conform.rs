//! The same evenings over every provider's stand-in. A new provider brings a stand-in
//! (`till/<name>.rs`) and one line in the table below.

mod account;
mod crash;
mod crowd;
mod hooks;
mod sale;
mod shop;
mod table;
mod till;

macro_rules! scenarios {
    ($start:path; $($file:ident::$scenario:ident,)*) => {
        $(#[tokio::test]
        async fn $scenario() {
            $file::$scenario($start).await;
        })*
    };
}

/// One test per provider and scenario, so that a failure names both.
macro_rules! providers {
    ($($name:ident: $start:path;)*) => {
        $(mod $name {
            use super::{account, crash, crowd, hooks, sale, till};

            scenarios! { $start;
                sale::a_sale_sells_out_and_leaves_nothing,
                sale::the_clock_ends_a_sale_and_open_pages_with_it,
                sale::a_late_payment_is_kept_while_a_unit_is_left,
                sale::a_late_payment_beyond_the_stock_goes_back,
                sale::who_pays_twice_gets_the_second_payment_back,
                sale::another_amount_is_put_before_a_person_and_keeps_its_unit,
                sale::a_page_that_cannot_be_closed_keeps_its_unit,
                sale::answers_lost_after_the_work_make_nothing_twice,
                sale::away_at_the_start_nothing_is_promised,
                sale::away_in_mid_sale_nothing_is_given_back_unasked,
                sale::away_at_the_close_selling_stops_on_time_and_the_rest_follows,
                sale::a_restart_in_mid_sale_finds_a_missed_payment,
                hooks::webhooks_that_are_no_good_change_nothing,
                hooks::webhooks_doubled_and_backwards_count_once,
                crowd::every_payment_beyond_the_stock_goes_back,
                account::check_says_what_an_account_lacks,
                account::probe_prints_its_table_and_leaves_nothing,
            }

            #[test]
            fn any_step_may_be_the_last() {
                crash::any_step_may_be_the_last($start);
            }
        })*

        #[tokio::test]
        async fn the_table_of_the_docs_is_what_the_run_measured() {
            table::is_what_the_run_measured(&[$($start),*]).await;
        }
    };
}

providers! {
    sandbox: till::sandbox::per_buyer;
    sandbox_shared: till::sandbox::shared;
    square: till::square::start;
    polar: till::polar::per_buyer;
    polar_shared: till::polar::shared;
    noventiq: till::noventiq::start;
}
