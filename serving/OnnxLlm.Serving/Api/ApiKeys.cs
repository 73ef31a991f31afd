using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>The keys that open the server. Only their hashes are kept, and comparing takes the same time whatever was sent.</summary>
internal sealed class ApiKeys(IEnumerable<ApiKey> keys, TimeProvider time)
{
    private readonly (byte[] Hash, Caller Caller)[] _callers = [.. keys.Select(key => (key.Hash, key.ToCaller(time)))];

    /// <summary>Administrators need theirs even where nobody else needs one.</summary>
    public bool AreRequired => _callers.Any(entry => !entry.Caller.IsAdmin);

    public bool Accept(HttpRequest request) => !AreRequired || Find(request) is not null;

    /// <summary>Whose key was sent; null for a wrong or missing one.</summary>
    public Caller? Find(HttpRequest request)
    {
        var sent = ApiKey.HashOf(Sent(request));
        Caller? found = null;
        foreach (var (hash, caller) in _callers)
            if (CryptographicOperations.FixedTimeEquals(hash, sent)) found = caller;
        return found;
    }

    private static string Sent(HttpRequest request)
    {
        const string Scheme = "Bearer ";
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : request.Headers["api-key"].ToString();
    }
}

/// <summary>One key, as its hash, and what it allows.</summary>
/// <param name="Hash">SHA-256 of the key.</param>
internal sealed record ApiKey(string Name, byte[] Hash)
{
    public bool IsAdmin { get; init; }

    /// <summary>Of its requests, 0 unless the key's owner is to go before others.</summary>
    public int Priority { get; init; }

    public int? RequestsPerMinute { get; init; }

    public int? TokensPerMinute { get; init; }

    /// <summary>For as long as the server runs.</summary>
    public long? TotalTokens { get; init; }

    public static ApiKey Plain(string key)
    {
        var hash = HashOf(key);
        return new ApiKey(Convert.ToHexStringLower(hash)[..8], hash);
    }

    public static byte[] HashOf(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    public Caller ToCaller(TimeProvider time) =>
        new(Name, IsAdmin, Priority, RequestsPerMinute is null && TokensPerMinute is null && TotalTokens is null ? null : new Quota(RequestsPerMinute, TokensPerMinute, TotalTokens, time));
}

/// <summary>Marks a route that answers without a key.</summary>
internal sealed class OpenToAll;

/// <summary>Marks a route that only an administrator's key opens.</summary>
internal sealed class AdminOnly;

/// <summary>Marks a route whose requests count against the caller's quota.</summary>
internal sealed class Metered;

/// <summary>Turns away requests without a key, known route or not, except where the route is open; and those beyond their key's rights or quota.</summary>
internal sealed class ApiKeyMiddleware(RequestDelegate next, ApiKeys keys)
{
    public Task InvokeAsync(HttpContext context)
    {
        var route = context.GetEndpoint()?.Metadata;
        var caller = keys.Find(context.Request);
        if (caller is not null) context.Features.Set(caller);
        return Refusal(context, route, caller) is { } error ? error.WriteAsync(context) : next(context);
    }

    private ApiError? Refusal(HttpContext context, EndpointMetadataCollection? route, Caller? caller)
    {
        if (route?.GetMetadata<OpenToAll>() is not null) return null;
        if (caller is null && (keys.AreRequired || route?.GetMetadata<AdminOnly>() is not null)) return ApiError.InvalidKey();
        if (route?.GetMetadata<AdminOnly>() is not null && !caller!.IsAdmin) return ApiError.InsufficientScope();
        return route?.GetMetadata<Metered>() is not null ? caller?.Quota?.Enter(context) : null;
    }
}
