namespace OnnxLlm.Serving.Engine;

internal enum TransferKind
{
    /// <summary>From a slot over another slot.</summary>
    Copy,

    /// <summary>From a slot into an entry beside the slots.</summary>
    Save,

    /// <summary>From an entry into a slot.</summary>
    Load,

    /// <summary>The entry is no longer needed.</summary>
    Drop,
}

/// <summary>Keys and values on their way: between slots, or between a slot and an entry that the runner keeps beside them.</summary>
/// <param name="From">Slot or entry.</param>
/// <param name="To">Slot or entry; of a drop, none.</param>
/// <param name="Length">Positions that count; of a copy, all that the slot holds.</param>
internal readonly record struct Transfer(TransferKind Kind, int From, int To, int Length)
{
    public static Transfer Copy(int from, int to) => new(TransferKind.Copy, from, to, 0);

    public static Transfer Save(int slot, int entry, int length) => new(TransferKind.Save, slot, entry, length);

    public static Transfer Load(int entry, int slot, int length) => new(TransferKind.Load, entry, slot, length);

    public static Transfer Drop(int entry) => new(TransferKind.Drop, entry, 0, 0);

    /// <summary>Lets the runner do it.</summary>
    public void Run(IModelRunner runner)
    {
        switch (Kind)
        {
            case TransferKind.Copy: runner.Move(From, To); break;
            case TransferKind.Save: runner.Save(From, Length, To); break;
            case TransferKind.Load: runner.Load(From, Length, To); break;
            case TransferKind.Drop: runner.Drop(From); break;
            default: throw new ServingException($"There is no transfer {Kind}.");
        }
    }
}
