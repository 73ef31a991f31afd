using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace OnnxLlm.Serving.Api;

/// <summary>The keys that open the server. Only their hashes are kept, and comparing takes the same time whatever was sent.</summary>
internal sealed class ApiKeys(IEnumerable<string> keys)
{
    private readonly byte[][] _hashes = [.. keys.Select(Hash)];

    public bool AreRequired => _hashes.Length > 0;

    public bool Accept(HttpRequest request)
    {
        if (!AreRequired) return true;
        var sent = Hash(Sent(request));
        var accepted = false;
        foreach (var hash in _hashes) accepted |= CryptographicOperations.FixedTimeEquals(hash, sent);
        return accepted;
    }

    private static string Sent(HttpRequest request)
    {
        const string Scheme = "Bearer ";
        var header = request.Headers.Authorization.ToString();
        return header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : request.Headers["api-key"].ToString();
    }

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));
}

/// <summary>Marks a route that answers without a key.</summary>
internal sealed class OpenToAll;

/// <summary>Turns away requests without a key, known route or not, except where the route is open.</summary>
internal sealed class ApiKeyMiddleware(RequestDelegate next, ApiKeys keys)
{
    public Task InvokeAsync(HttpContext context) =>
        keys.Accept(context.Request) || context.GetEndpoint()?.Metadata.GetMetadata<OpenToAll>() is not null
            ? next(context)
            : ApiError.InvalidKey().WriteAsync(context);
}
