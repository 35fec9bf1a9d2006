//! Applications: parts of a program that are started and stopped as a whole.
//!
//! A shop needs its stock, and metrics if they are there. What needs what gives
//! the order of start and stop. An application has its settings and its tree,
//! and knows its processes: nothing is left of it when it has stopped. The last
//! scene is what a daemon is for: the end of a permanent application stops the
//! others, each in good order, and the node.
//!
//! ```erlang
//! {ok, [stock, metrics, shop]} = application:ensure_all_started(shop),
//! {ok, 2} = application:get_env(shop, clerks),
//! {ok, shop} = application:get_application(Clerk),
//! ok = application:stop(shop).
//! ```
//!
//! Run it: `cargo run --example 24_application`

use std::error::Error;
use std::future::pending;

use resurgam::{
    Agent, Application, ApplicationContext, ApplicationEnded, Applications, ChildSpec, Config,
    ConfigChange, Context, ExitReason, Node, Pid, StartApplicationError, StartError, StartMode,
    StartType, Strategy, Supervisor, SupervisorRef, is_alive, spawn_options,
};

/// How many apples there are.
type Stock = Agent<u32>;

/// A library: it has settings and no processes.
fn metrics() -> Application {
    Application::new("metrics").env("per_minute", 6_u32)
}

fn stock() -> Application {
    Application::new("stock")
        .description("what there is to sell")
        .start(|_| async {
            let shelf = || Stock::builder(|| 3).name("stock");
            Supervisor::builder(Strategy::OneForOne)
                .child(ChildSpec::server_with("shelf", shelf))
                .start_link()
                .await
        })
        .stop(|_| async { println!("  the stock is locked") })
}

fn shop() -> Application {
    Application::new("shop")
        .description("sells what is in stock")
        .needs("stock")
        .needs_if_loaded("metrics")
        .env("clerks", 1_usize)
        .env("motto", "fresh every day")
        .start(open)
        .start_phase("count", |_| async {
            let apples = Stock::named("stock").get(|apples| *apples).await?;
            println!("  {apples} apples to sell");
            Ok(())
        })
        .config_change(redecorate)
        .prep_stop(|_| async { println!("  no more customers, please") })
        .stop(|_| async { println!("  the shop is closed") })
}

/// The tree of the shop: so many clerks as it is set to have.
async fn open(app: ApplicationContext) -> Result<SupervisorRef, StartError> {
    let clerks: usize = app.get_env("clerks")?;
    println!("  the shop opens, with {clerks} clerks");
    let clerk = |number| ChildSpec::process(format!("clerk {number}"), || clerk);
    let tree = Supervisor::builder(Strategy::OneForOne)
        .max_restarts(0)
        .children((1..=clerks).map(clerk));
    Ok(tree.start_link().await?)
}

/// Sells until somebody wants what there is not.
async fn clerk(mut ctx: Context<&'static str>) -> ExitReason {
    let wanted = ctx.receive().await;
    ExitReason::custom(format!("no idea what to do about {wanted:?}"))
}

async fn redecorate(app: ApplicationContext, change: ConfigChange) {
    if change.changed.iter().any(|key| key.as_str() == "motto") {
        let motto = app.get_env("motto").unwrap_or("");
        println!("  new motto: {motto}");
    }
}

/// One of the clerks.
async fn first_clerk(apps: &Applications) -> Result<Pid, Box<dyn Error>> {
    let top = apps.get_supervisor("shop").await?.ok_or("it is closed")?;
    let top = SupervisorRef::from_pid(&Node::current(), top).ok_or("it is gone")?;
    let clerk = top.which_child("clerk 1").await?.pid();
    Ok(clerk.ok_or("not at work")?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let node = Node::current();
    let config = Config::new().set("shop", "clerks", 2_usize);
    let apps = Applications::builder()
        .config(config)
        .start_on(&node)
        .await?;
    for application in [metrics(), stock(), shop()] {
        apps.load(application).await?;
    }

    println!("alone it does not start:");
    let error = apps.start("shop").await.expect_err("there is no stock");
    println!("  {error}");
    assert!(matches!(error, StartApplicationError::NotStarted(_)));

    println!("with all that it needs:");
    let started = apps.ensure_all_started(["shop"]).await?;
    println!("  started: {started:?}");
    assert_eq!(started, ["stock".into(), "metrics".into(), "shop".into()]);

    println!("settings can be changed while it runs:");
    let config = Config::new().set("shop", "motto", "everything must go");
    apps.change_config(config).await?;
    assert_eq!(apps.env().get("shop", "clerks"), Ok(1_usize));

    println!("a process knows whose it is:");
    let clerk = first_clerk(&apps).await?;
    let owner = apps.get_application(clerk).await?;
    println!("  {clerk} belongs to {owner:?}");
    assert_eq!(owner, Some("shop".into()));

    println!("nothing is left of one that stops:");
    apps.load(leaky()).await?;
    apps.start("leaky").await?;
    let leaked = node.whereis("leaked").ok_or("it is named")?;
    apps.stop("leaky").await?;
    println!("  {leaked} lives: {}", is_alive(leaked).await?);
    assert!(!is_alive(leaked).await?);
    apps.stop("shop").await?;

    println!("a permanent one takes the node along:");
    apps.ensure_all_started_as(StartType::Permanent, StartMode::Concurrent, ["shop"])
        .await?;
    let ended = apps.join();
    node.send(first_clerk(&apps).await?, "a refund")?;
    let reason = ended.await;
    let to_blame = ApplicationEnded::of(&reason).ok_or("nobody is to blame")?;
    println!("  {:?} ended: {}", to_blame.name, to_blame.reason);
    assert_eq!(to_blame.name.as_str(), "shop");
    Ok(())
}

/// It leaves a process behind that nobody is linked to.
fn leaky() -> Application {
    Application::new("leaky").start(|_| async {
        let lives_on = |_: Context<()>| pending::<()>();
        spawn_options().name("leaked").spawn(lives_on)?;
        let top = Supervisor::builder(Strategy::OneForOne).start_link();
        Ok::<_, StartError>(top.await?)
    })
}
