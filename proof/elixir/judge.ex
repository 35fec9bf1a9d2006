# Judges what `proof.erl` reads. All code is loaded before: who loads some in the
# midst of a script waits for others, and what comes to rest meanwhile is not at
# rest.
defmodule Proof.Judge do
  def main() do
    for application <- [:kernel, :stdlib, :elixir] do
      {:ok, modules} = :application.get_key(application, :modules)
      :ok = :code.ensure_modules_loaded(modules)
    end

    :proof.main()
  end
end
